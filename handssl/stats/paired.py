"""Paired difference of two cells over seeds: mean, interval, p and correlation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import correlation, fmean, stdev

from handssl.stats.contrasts import LEVEL, mean_effect

Errors = Mapping[int, float]
"""Error in mm by seed; infinite where the trial diverged."""


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of the errors of two cells over the seeds that have both.

    Attributes:
        mm: Mean difference in mm, below 0 if the first is better; infinite if it diverged, NaN if
            no seed has both.
        low: Lower end of its interval in mm, NaN without one.
        high: Upper end of its interval in mm, NaN without one.
        p: Two-sided p of the paired t-test, NaN without one.
        sd_mm: Standard deviation of the differences over seeds in mm, NaN without one.
        correlation: Correlation of the two cells over seeds, NaN if it is not defined.
        seeds: Number of seeds that have both.
        diverged: Number of those in which one of the two diverged.
    """

    mm: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    sd_mm: float = math.nan
    correlation: float = math.nan
    seeds: int = 1
    diverged: int = 0


def paired_difference(values: Errors, others: Errors, *, level: float = LEVEL) -> PairedDifference:
    """Return the mean of the paired differences with Student's t over seeds.

    Without two seeds, or where a trial diverged, there is a mean at most.

    Args:
        values: Errors of a cell.
        others: Errors of the one that it is compared with.
        level: Confidence level of the interval.

    Example:
        >>> found = paired_difference({1: 60.0, 2: 61.0, 3: 60.5}, {1: 64.0, 2: 65.5, 3: 64.0})
        >>> found.mm, round(found.p, 4), round(found.correlation, 2)
        (-4.0, 0.0052, 0.87)
    """
    shared = sorted(values.keys() & others.keys())
    ours, theirs = ([errors[seed] for seed in shared] for errors in (values, others))
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    lost = sum(not math.isfinite(one) for one in differences)
    if not shared or lost:
        mm = fmean(ours) - fmean(theirs) if shared else math.nan
        return PairedDifference(mm, seeds=len(shared), diverged=lost)
    found = mean_effect("difference", differences, level)
    if len(shared) == 1:
        return PairedDifference(found.mm)
    return PairedDifference(
        found.mm,
        found.low,
        found.high,
        two_sided(found.mm, stdev(differences) / math.sqrt(len(shared)), len(shared) - 1),
        stdev(differences),
        _correlation(ours, theirs),
        len(shared),
    )


def two_sided(mm: float, error_mm: float, freedom: float) -> float:
    """Return the two-sided p of a mean with its standard error; 1 for 0 without any error.

    Args:
        mm: Mean difference in mm.
        error_mm: Its standard error in mm.
        freedom: Degrees of freedom of Student's t; infinite for the normal distribution.
    """
    from scipy import stats  # takes a second, and studies with one seed never need it

    if error_mm == 0:
        return float(mm == 0)
    return float(2 * stats.t.sf(abs(mm) / error_mm, freedom))


def _correlation(ours: list[float], theirs: list[float]) -> float:
    constant = len({*ours}) == 1 or len({*theirs}) == 1
    return math.nan if constant else correlation(ours, theirs)
