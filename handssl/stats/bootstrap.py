"""Crossed bootstrap of an error over seeds and over hands, and intervals from it.

A cell's error is the mean over its seeds of a statistic of the errors of all hands. It is uncertain
for two reasons: other seeds would give another network, and other hands another statistic. Seeds
and groups of hands (subjects, recordings or frames) are crossed: every network saw the same hands.
So hands are resampled by group, the same groups for every network, and seeds by themselves.

Reference:
    A. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics, 2007; T. Hesterberg, "What
    teachers should know about the bootstrap", American Statistician, 2015 (expanded percentiles);
    F. Graybill, C.-M. Wang, "Confidence intervals on nonnegative linear combinations of variances",
    JASA, 1980, and G. Zou, A. Donner, Statistics in Medicine, 2008 (limits of a sum from the limits
    of its parts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from handssl.stats.contrasts import LEVEL

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.uint16]
Name = Literal["median", "mean"]
Interval = tuple[float, float]

_BINS = 64
_ROWS = 256


@dataclass(frozen=True)
class Uncertain:
    """An error, or a difference of two, with what seeds and hands leave open.

    Attributes:
        mm: The value: mean over seeds of the statistic.
        both: Interval for other seeds and other hands; NaN with one seed.
        seeds: Interval for other seeds and these hands, by Student's t; NaN with one seed.
        hands: Interval for these seeds and other hands, by expanded percentiles.
        percentile: Interval for both by plain percentiles of the crossed bootstrap. It is too short
            with few seeds: with n it never reaches beyond the least and the largest of them, so it
            covers at most 1 - 2^(1 - n) where seeds are all that varies.
        seed_count: Number of seeds.
        group_count: Number of groups of hands.
    """

    mm: float
    both: Interval
    seeds: Interval
    hands: Interval
    percentile: Interval
    seed_count: int
    group_count: int


def group_weights(groups: int, resamples: int, generator: np.random.Generator) -> Counts:
    """Draw how often each group is in each resample.

    Args:
        groups: Number of groups G.
        resamples: Number of resamples R.
        generator: Source of the draws.

    Returns:
        (R, G); each row sums to G. Memory is 2 R G bytes.
    """
    shares = np.full(groups, 1.0 / groups)
    parts = [
        generator.multinomial(groups, shares, size=min(_ROWS, resamples - first)).astype(np.uint16)
        for first in range(0, resamples, _ROWS)
    ]
    return np.concatenate(parts)


def resampled(errors: Floats, groups: npt.NDArray[np.int64], weights: Counts, of: Name) -> Floats:
    """Return a statistic of all errors, first as they are, then in every resample of the groups.

    In a resample each error counts as often as its group was drawn. The median is that of the
    multiset, the mean of its two middle values if their number is even.

    Args:
        errors: Errors (N, J); NaN where one does not count.
        groups: Number of the group of each hand, 0 to G - 1, (N,).
        weights: Counts from `group_weights`, (R, G).
        of: `median` or `mean`.

    Returns:
        (1 + R,); NaN for a resample without an error that counts.

    Example:
        >>> errors, groups = np.array([[1.0, 2.0], [3.0, 9.0]]), np.array([0, 1])
        >>> resampled(errors, groups, np.array([[0, 2]], dtype=np.uint16), "median").tolist()
        [2.5, 6.0]
    """
    kept = np.nonzero(np.isfinite(errors))
    once = np.ones((1, weights.shape[1]), dtype=np.uint16)
    both = np.concatenate((once, weights))
    of_values = {"median": _medians, "mean": _means}[of]
    with np.errstate(invalid="ignore"):
        return of_values(errors[kept], groups[kept[0]], both)


def uncertain(
    values: Floats, generator: np.random.Generator, *, groups: int, level: float = LEVEL
) -> Uncertain:
    """Return the mean over seeds of resampled statistics with its intervals.

    With m the value, (a, b) the interval from seeds and (c, d) that from hands, the lower end of
    the interval from both is m - sqrt((m - a)^2 + (m - c)^2), the upper end likewise.

    Args:
        values: Results of `resampled` for each seed, (S, 1 + R): of a cell, or of the paired
            differences of two cells.
        generator: Source of the draws of seeds.
        groups: Number of groups that were resampled.
        level: Confidence level.
    """
    count, resamples = values.shape[0], values.shape[1] - 1
    mm = float(np.mean(values[:, 0]))
    by_hands = values[:, 1:].mean(axis=0)
    hands = _percentiles(by_hands, _expanded(level, groups))
    if count == 1:
        nothing = (math.nan, math.nan)
        return Uncertain(mm, nothing, nothing, hands, nothing, count, groups)
    drawn = generator.multinomial(count, np.full(count, 1.0 / count), size=resamples) / count
    crossed = np.einsum("rs,sr->r", drawn, values[:, 1:])
    half = _student(level, count - 1) * float(np.std(values[:, 0], ddof=1)) / math.sqrt(count)
    seeds = (mm - half, mm + half)
    low, high = math.hypot(half, mm - hands[0]), math.hypot(half, hands[1] - mm)
    percentile = _percentiles(crossed, (1.0 - level) / 2)
    return Uncertain(mm, (mm - low, mm + high), seeds, hands, percentile, count, groups)


def _medians(values: Floats, groups: npt.NDArray[np.int64], weights: Counts) -> Floats:
    """Return weighted medians: first the bin that holds the middle, then its place in it.

    Counting bins is one product of matrices, so that only the errors of one bin out of 64 have to
    be gone through for each resample.
    """
    order = np.argsort(values, kind="stable")
    values, groups = values[order], groups[order]
    length = max(1, -(-len(values) // _BINS))
    bins = np.arange(len(values)) // length
    shape = (weights.shape[1], int(bins[-1]) + 1 if len(bins) else 1)
    counts = np.bincount(groups * shape[1] + bins, minlength=shape[0] * shape[1])
    ends = np.cumsum(_product(weights, counts.reshape(shape).astype(np.float64)), axis=1)
    total = ends[:, -1]
    middle = [np.floor((total - 1) / 2), np.floor(total / 2)]
    found = [_ranked(values, groups, weights, ends, rank, length) for rank in middle]
    return np.where(total > 0, (found[0] + found[1]) / 2, np.nan)


def _ranked(
    values: Floats,
    groups: npt.NDArray[np.int64],
    weights: Counts,
    ends: Floats,
    rank: Floats,
    length: int,
) -> Floats:
    """Return the value at a rank, counted from 0, of every resample, (R,)."""
    bins = np.argmax(ends > rank[:, None], axis=1)
    before = np.where(bins > 0, ends[np.arange(len(ends)), np.maximum(bins - 1, 0)], 0.0)
    found = np.full(len(ends), np.nan)
    for number in np.unique(bins):
        inside = slice(number * length, (number + 1) * length)
        for rows in np.array_split(
            np.flatnonzero(bins == number), max(1, int((bins == number).sum()) // _ROWS)
        ):
            own = np.cumsum(weights[rows][:, groups[inside]], axis=1, dtype=np.int64)
            place = np.argmax(own > (rank - before)[rows, None], axis=1)
            found[rows] = values[inside][place] if own.size else np.nan
    return found


def _means(values: Floats, groups: npt.NDArray[np.int64], weights: Counts) -> Floats:
    count = weights.shape[1]
    sums = np.bincount(groups, values, minlength=count)
    counts = np.bincount(groups, minlength=count).astype(np.float64)
    total = _product(weights, np.stack((sums, counts), axis=1))
    return np.asarray(total[:, 0] / total[:, 1], dtype=np.float64)


def _product(weights: Counts, matrix: Floats) -> Floats:
    """Return weights x matrix without a copy of all weights in float64."""
    found = np.empty((len(weights), matrix.shape[1]))
    for first in range(0, len(weights), _ROWS):
        rows = slice(first, first + _ROWS)
        found[rows] = weights[rows].astype(np.float64) @ matrix
    return found


def _expanded(level: float, groups: int) -> float:
    """Return the tail of a percentile interval that has the width of Student's t for n groups."""
    from scipy import stats  # takes a second, which commands without intervals need not wait

    if groups < 2:
        return 0.0
    factor = math.sqrt(groups / (groups - 1)) * _student(level, groups - 1)
    return float(stats.norm.cdf(-factor))


def _student(level: float, freedom: int) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + level) / 2, freedom))


def _percentiles(values: Floats, tail: float) -> Interval:
    low, high = np.nanquantile(values, (tail, 1.0 - tail))
    return float(low), float(high)
