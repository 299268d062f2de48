"""The diagnostics in plain loops, float64, one pair of rows at a time."""

from __future__ import annotations

import math

import numpy as np


def cosine(u, v):
    """Cosine similarity of two vectors."""
    dot = sum(float(a) * float(b) for a, b in zip(u, v, strict=True))
    return dot / math.sqrt(sum(float(a) ** 2 for a in u) * sum(float(b) ** 2 for b in v))


def invariance(h_a, h_b):
    """Mean similarity within, between, the index, and the squared distance within."""
    n = len(h_a)
    within = [cosine(h_a[i], h_b[i]) for i in range(n)]
    between = [cosine(h_a[i], h_b[j]) for i in range(n) for j in range(n) if i != j]
    distances = []
    for a, b in zip(h_a, h_b, strict=True):
        a, b = a / math.sqrt(sum(x * x for x in a)), b / math.sqrt(sum(x * x for x in b))
        distances.append(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
    w, b = sum(within) / n, sum(between) / len(between)
    return {
        "invariance": (w - b) / (1 - b),
        "cosine_within": w,
        "cosine_between": b,
        "alignment": sum(distances) / n,
    }


def uniformity(features):
    """Log of the mean Gaussian potential over ordered pairs of distinct rows."""
    unit = [row / math.sqrt(sum(x * x for x in row)) for row in features]
    terms = []
    for i, a in enumerate(unit):
        for j, b in enumerate(unit):
            if i != j:
                terms.append(math.exp(-2 * sum((x - y) ** 2 for x, y in zip(a, b, strict=True))))
    return math.log(sum(terms) / len(terms))


def effective_rank(features):
    """Entropy of singular values, from the eigenvalues of the scatter matrix."""
    x = np.asarray(features, dtype=np.float64)
    centred = x - [sum(column) / len(column) for column in x.T]
    scatter = sum(np.outer(row, row) for row in centred)
    values = [math.sqrt(max(v, 0.0)) for v in np.linalg.eigvalsh(scatter)]
    shares = [v / sum(values) for v in values]
    return math.exp(-sum(p * math.log(p) for p in shares if p > 0))


def wrapped_r2(predicted, target, periods):
    """R2 with residuals in half a period either way, a mean over columns."""
    scores = []
    for k, period in enumerate(periods):
        column = [float(row[k]) for row in target]
        mean = sum(column) / len(column)
        total = sum((value - mean) ** 2 for value in column)
        residual = 0.0
        for row, value in zip(predicted, column, strict=True):
            gap = abs(float(row[k]) - value)
            if period is not None:
                gap = min(gap % period, period - gap % period)
            residual += gap**2
        scores.append(1 - residual / total)
    return sum(scores) / len(scores)


def keypoint_gap_px(plain, transformed, angle, offset):
    """Mean distance of transformed predictions from R(angle) (p - t), in px of a 128 px box."""
    gaps = []
    for before, after, a, (tx, ty) in zip(plain, transformed, angle, offset, strict=True):
        for (x, y), (u, v) in zip(before, after, strict=True):
            dx, dy = x - tx, y - ty
            moved = (math.cos(a) * dx - math.sin(a) * dy, math.sin(a) * dx + math.cos(a) * dy)
            gaps.append(128 * math.hypot(u - moved[0], v - moved[1]))
    return sum(gaps) / len(gaps)
