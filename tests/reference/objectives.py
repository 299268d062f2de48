"""Naive float64 loops for Eq. 1, 2 and 3; slow on purpose, close to the formulas."""

from __future__ import annotations

import math


def nt_xent(z_a, z_b, temperature):
    """Mean over 2N anchors of -log softmax similarity of the positive (Eq. 1)."""
    z = [list(map(float, row)) for row in [*z_a, *z_b]]
    n = len(z_a)

    def sim(u, v):
        dot = sum(x * y for x, y in zip(u, v, strict=True))
        return dot / (math.sqrt(sum(x * x for x in u)) * math.sqrt(sum(y * y for y in v)))

    total = 0.0
    for i in range(2 * n):
        j = i + n if i < n else i - n
        denominator = sum(math.exp(sim(z[i], z[k]) / temperature) for k in range(2 * n) if k != i)
        total -= math.log(math.exp(sim(z[i], z[j]) / temperature) / denominator)
    return total / (2 * n)


def wrapped(difference, period):
    """The representative of a difference in (-period/2, period/2]."""
    while difference > period / 2:
        difference -= period
    while difference <= -period / 2:
        difference += period
    return difference


def relative_loss(theta_a, theta_b, predicted_ab, predicted_ba, widths, periods):
    """Eq. 2 for one transformation: mean L1 over both orders, samples and parameters."""
    total, count = 0.0, 0
    for a, b, ab, ba in zip(theta_a, theta_b, predicted_ab, predicted_ba, strict=True):
        for k, width in enumerate(widths):
            difference = float(b[k]) - float(a[k])
            if periods[k] is not None:
                difference = wrapped(difference, periods[k])
            target = difference / width
            total += abs(float(ab[k]) - target) + abs(float(ba[k]) + target)
            count += 2
    return total / count


def weighted_sum(losses, log_sigmas):
    """Eq. 3 with sigma = exp(log sigma)."""
    return sum(
        losses[k] / math.exp(log_sigmas[k]) + math.log(math.exp(log_sigmas[k])) for k in losses
    )
