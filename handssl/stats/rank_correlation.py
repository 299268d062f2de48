"""Rank correlation of two measures between cells, with intervals for other seeds and cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from handssl.stats.contrasts import LEVEL, mean_effect

LEAST_CELLS = 4
"""Number of cells of a seed below which a rank correlation has no interval."""
Points = Mapping[str, tuple[float, float]]
"""Both measures of each cell."""


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation between cells, its mean over seeds.

    Attributes:
        rho: The correlation, -1 to 1.
        seeds: Its 95 % interval for other seeds and these cells; NaN with one seed.
        cells: Its 95 % interval for other cells and these seeds.
        cell_count: Smallest number of cells of a seed.
        seed_count: Number of seeds.
    """

    rho: float
    seeds: tuple[float, float]
    cells: tuple[float, float]
    cell_count: int
    seed_count: int

    @property
    def is_decided(self) -> bool:
        """Whether both intervals exclude 0."""
        ends = (*self.seeds, *self.cells)
        return all(end > 0.0 for end in ends) or all(end < 0.0 for end in ends)


def rank_correlation(values: Mapping[int, Points], level: float = LEVEL) -> RankCorrelation | None:
    """Return Spearman's correlation between cells, as the mean over seeds.

    The interval over seeds is Student's of the seeds' correlations. The one over n cells is
    tanh(atanh(rho) -+ 1.96 sqrt((1 + rho^2 / 2) / (n - 3))), where |rho| is at most half a step of
    ranks below 1, since n ranks cannot show that it is 1.

    Args:
        values: Both measures of every cell, by seed. Seeds with fewer than four cells, or with one
            measure that is the same for all of them, are left out.
        level: Confidence level of both intervals.

    Returns:
        The correlation; None if no seed is left.

    Example:
        >>> cells = {"a": (0.1, 70.0), "b": (0.3, 68.0), "c": (0.5, 69.0), "d": (0.9, 60.0)}
        >>> found = rank_correlation({1: cells, 2: cells})
        >>> round(found.rho, 2), found.is_decided
        (-0.8, False)

    Reference:
        D. Bonett, T. Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman
        correlations", Psychometrika 2000.
    """
    from scipy import stats  # takes a second to import

    able = [pairs for one in values.values() if _varies(pairs := [*one.values()])]
    if not able:
        return None
    found = [float(stats.spearmanr([a for a, _ in one], [b for _, b in one])[0]) for one in able]
    rho, count = fmean(found), min(map(len, able))
    quantile = float(stats.norm.ppf(0.5 + level / 2))
    return RankCorrelation(
        rho, _over_seeds(found, level), _over_cells(rho, count, quantile), count, len(found)
    )


def _varies(pairs: list[tuple[float, float]]) -> bool:
    return len(pairs) >= LEAST_CELLS and all(len(set(one)) > 1 for one in zip(*pairs, strict=True))


def _over_seeds(found: list[float], level: float) -> tuple[float, float]:
    if len(found) < 2:
        return math.nan, math.nan
    one = mean_effect("correlation", found, level)
    return max(-1.0, one.low), min(1.0, one.high)


def _over_cells(rho: float, count: int, quantile: float) -> tuple[float, float]:
    most = 1.0 - 6.0 / (count * (count**2 - 1))
    near = min(max(rho, -most), most)
    half = quantile * math.sqrt((1.0 + near**2 / 2.0) / (count - 3))
    return math.tanh(math.atanh(near) - half), math.tanh(math.atanh(near) + half)
