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


def dot(u, v):
    """Sum of products."""
    return sum(x * y for x, y in zip(u, v, strict=True))


def head(rows, weights):
    """Linear, BatchNorm over the rows, ReLU, Linear; weights as nested lists."""
    first, offset, scale, shift, last = weights
    hidden = [[dot(unit, row) + b for unit, b in zip(first, offset, strict=True)] for row in rows]
    for k in range(len(first)):
        column = [row[k] for row in hidden]
        mean = sum(column) / len(column)
        variance = sum((x - mean) ** 2 for x in column) / len(column)
        for row in hidden:
            unit = (row[k] - mean) / math.sqrt(variance + 1e-5)
            row[k] = max(0.0, unit * scale[k] + shift[k])
    return [[dot(unit, row) for unit in last] for row in hidden]


def pair_errors(theta_a, theta_b, predicted_ab, predicted_ba, widths, periods):
    """Error vectors of Eq. 2: of the order (a, b), then, if it is predicted, of (b, a)."""
    targets = [
        [
            ((b - a) if period is None else wrapped(b - a, period)) / width
            for a, b, width, period in zip(row_a, row_b, widths, periods, strict=True)
        ]
        for row_a, row_b in zip(theta_a, theta_b, strict=True)
    ]
    errors = []
    for sign, predicted in ((1, predicted_ab), (-1, predicted_ba)):
        for row, target in zip(predicted or [], targets if predicted else [], strict=True):
            errors.append([p - sign * t for p, t in zip(row, target, strict=True)])
    return errors


def mean_error(errors, norm):
    """Mean absolute error over all numbers (l1), or mean Euclidean length of the vectors (l2)."""
    if norm == "l2":
        return sum(math.sqrt(sum(x * x for x in error)) for error in errors) / len(errors)
    return sum(abs(x) for error in errors for x in error) / sum(map(len, errors))


def undo(row, angle_rad, log_factor, shift_boxes):
    """Invert q = f R(angle) (p - t) for the points of one projection."""
    points = []
    for x, y in zip(row[::2], row[1::2], strict=True):
        x, y = x / math.exp(log_factor), y / math.exp(log_factor)
        points.append(math.cos(angle_rad) * x + math.sin(angle_rad) * y + shift_boxes[0])
        points.append(-math.sin(angle_rad) * x + math.cos(angle_rad) * y + shift_boxes[1])
    return points


def with_radius(rows, radius):
    """Scale all rows alike until their points have this root mean square length."""
    squares = [x * x + y * y for row in rows for x, y in zip(row[::2], row[1::2], strict=True)]
    factor = radius / math.sqrt(sum(squares) / len(squares))
    return [[factor * value for value in row] for row in rows]


def point_frame(row, shift_boxes):
    """Extent of the points of one projection of length 1, and their mean once they are moved."""
    length = math.sqrt(sum(x * x for x in row))
    xs, ys = [x / length for x in row[::2]], [y / length for y in row[1::2]]
    ex, ey = max(xs) - min(xs), max(ys) - min(ys)
    mean = (sum(xs) / len(xs) + ex * shift_boxes[0], sum(ys) / len(ys) + ey * shift_boxes[1])
    return mean, (ex, ey)


def undo_published(row, angle_rad, shift_boxes, frame=None):
    """Move the points of one projection by t x extent, then turn them back about their mean."""
    (mx, my), (ex, ey) = frame or point_frame(row, shift_boxes)
    length = math.sqrt(sum(x * x for x in row))
    moved = []
    for x, y in zip(row[::2], row[1::2], strict=True):
        dx, dy = x / length + ex * shift_boxes[0] - mx, y / length + ey * shift_boxes[1] - my
        moved.append(math.cos(angle_rad) * dx + math.sin(angle_rad) * dy + mx)
        moved.append(-math.sin(angle_rad) * dx + math.cos(angle_rad) * dy + my)
    return moved
