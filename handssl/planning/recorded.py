"""Variances over seeds of recorded curves, used by plans before there are earlier results."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from handssl.stats.seed_variance import SeedVariance

FILE = Path(__file__).with_name("recorded_variance.json")


@lru_cache(maxsize=1)
def recorded_variance() -> SeedVariance:
    """Return the variances of the recorded curves.

    Example:
        >>> 2.0 < recorded_variance().paired_mm < 3.5
        True
    """
    values = json.loads(FILE.read_text(encoding="utf-8"))
    return SeedVariance(**{field.name: values[field.name] for field in fields(SeedVariance)})


def recorded_correlation(share: float) -> float:
    """Return the correlation within a block of early and last values.

    Args:
        share: Epochs of the early values as a share of all, 0 to 1; interpolated linearly.

    Example:
        >>> recorded_correlation(0.1) < recorded_correlation(0.5) < recorded_correlation(1.0)
        True
    """
    known = [(0.0, 0.0), *json.loads(FILE.read_text(encoding="utf-8"))["early"], (1.0, 1.0)]
    shares, correlations = zip(*known, strict=True)
    return float(np.interp(share, shares, correlations))
