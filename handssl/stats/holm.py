"""Holm's adjustment of p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's method; NaN where there is none.

    The smallest of k is multiplied by k, the next by k - 1, and so on; none is less than one that
    was smaller. Not statsmodels' `multipletests`, which collects garbage at every call: 0.1 s in a
    process that has loaded torch.

    Args:
        values: P-values of a family; NaN for hypotheses that are not tested.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, math.nan])]
        [0.02, 0.04, nan]

    Reference:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 1979.
    """
    known = sorted((p, i) for i, p in enumerate(values) if not math.isnan(p))
    factors = np.arange(len(known), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate([p for p, _ in known] * factors), 1.0)
    found = [math.nan] * len(values)
    for (_, i), p in zip(known, adjusted.tolist(), strict=True):
        found[i] = p
    return found
