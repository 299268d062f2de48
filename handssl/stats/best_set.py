"""Cells that cannot be told from the best one: Hsu's multiple comparisons with the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from handssl.stats.cell_means import connected_sets
from handssl.stats.contrasts import LEVEL
from handssl.stats.paired import Errors

NAMED = 5
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BestSet:
    """Cells that cannot be told from the best one.

    Attributes:
        cells: Their names with the error by which each may be above the least of the others, in mm,
            at most; the lowest mean first. All of it holds together at 95 %.
        compared: Number of cells that were compared.
        seeds: Number of seeds.
        freedom: Degrees of freedom of the pooled variance.
        critical: One-sided critical value.
    """

    cells: Mapping[str, float]
    compared: int
    seeds: int
    freedom: int
    critical: float

    def __str__(self) -> str:
        """Return how many cells remain, and the first of them by name."""
        names = [*self.cells][:NAMED]
        more = len(self.cells) - len(names)
        listed = ", ".join(names) + (f" and {more} more" if more else "")
        return (
            f"{len(self.cells)} of {self.compared} cells cannot be told from the best "
            f"({100 * LEVEL:.0f} % for all together, {self.seeds} seeds): {listed}"
        )


def best_set(values: Mapping[str, Errors], *, level: float = LEVEL) -> BestSet | None:
    """Return the cells that cannot be told from the one with the lowest error.

    Under error = cell + seed + noise, a cell remains unless its estimate exceeds that of another
    cell by more than d standard errors of their difference, d being Dunnett's one-sided critical
    value for all other cells. The set holds the best cell with the probability `level`. With cells
    that lack seeds, estimates are least squares and the correlation in d is a lower one.

    Args:
        values: Errors in mm of completed trials by cell and seed. Cells with a trial that diverged,
            and those that `adjusted_means` leaves out, are not compared.
        level: Probability that the set holds the best cell.

    Returns:
        The set; None without two cells or without an estimate of the noise.

    Example:
        >>> values = {"a": {1: 60.0, 2: 61.0}, "b": {1: 60.3, 2: 60.9}, "c": {1: 69.0, 2: 70.2}}
        >>> list(best_set(values).cells)
        ['a', 'b']

    Reference:
        J. Hsu, "Simultaneous confidence intervals for all distances from the best", Annals of
        Statistics 1981.
    """
    able = _comparable(values)
    cells, seeds = sorted(able), sorted({seed for own in able.values() for seed in own})
    table = np.array([[able[cell].get(seed, math.nan) for seed in seeds] for cell in cells])
    counts = (~np.isnan(table)).sum()
    freedom = int(counts) - len(cells) - len(seeds) + 1
    if len(cells) < 2 or freedom < 1:
        return None
    means, covariance, squares = _fit(table)
    seen = (~np.isnan(table)).sum(axis=1)
    correlation = float(seen.min() / (seen.min() + seen.max()))
    critical = dunnett_critical(len(cells) - 1, freedom, correlation=correlation, level=level)
    own = np.diag(covariance)
    error = np.sqrt(squares / freedom * np.maximum(own[:, None] + own - 2 * covariance, 0.0))
    gaps = means[:, None] - means
    np.fill_diagonal(gaps, -math.inf)
    remains = (gaps <= critical * error).all(axis=1)
    above = np.maximum((gaps + critical * error).max(axis=1), 0.0)
    order = sorted(np.flatnonzero(remains).tolist(), key=lambda i: (means[i], cells[i]))
    found = {cells[i]: float(above[i]) for i in order}
    return BestSet(found, len(cells), len(seeds), freedom, critical)


@cache
def dunnett_critical(
    comparisons: int, freedom: float, *, correlation: float = 0.5, level: float = LEVEL
) -> float:
    """Return the value that the greatest of several equally correlated t does not exceed.

    P(max t <= d) = E[Phi((d s + sqrt(rho) z) / sqrt(1 - rho))^m], over a standard normal z that all
    share, and the standard deviation s of the error.

    Args:
        comparisons: Number m of comparisons.
        freedom: Degrees of freedom of the standard deviation.
        correlation: Correlation rho of any two of them, in [0, 1).
        level: The probability.

    Example:
        >>> round(dunnett_critical(3, 10), 2)
        2.34

    Reference:
        C. Dunnett, "A multiple comparison procedure for comparing several treatments with a
        control", Journal of the American Statistical Association 1955, table 1.
    """
    from scipy import optimize, stats

    from handssl.stats.power import chi_nodes

    spread, weight = chi_nodes(freedom)
    z, share = np.polynomial.hermite_e.hermegauss(64)
    share = share / share.sum()

    def held(critical: float) -> float:
        each = (critical * spread[:, None] + math.sqrt(correlation) * z) / math.sqrt(
            1 - correlation
        )
        return float(weight @ stats.norm.cdf(each) ** comparisons @ share)

    highest = stats.t.ppf(1 - (1 - level) / comparisons, freedom)  # Bonferroni
    return float(optimize.brentq(lambda d: held(d) - level, 0.0, highest + 1e-6, xtol=1e-6))


def _comparable(values: Mapping[str, Errors]) -> dict[str, Errors]:
    whole = {name: own for name, own in values.items() if all(map(math.isfinite, own.values()))}
    sets = connected_sets(whole)
    return {name: whole[name] for name in sets[0]} if sets else {}


def _fit(table: Array) -> tuple[Array, Array, float]:
    """Fit value = cell + seed by least squares, eliminating the cells.

    Args:
        table: Values (cells, seeds), NaN where missing.

    Returns:
        Estimates of the cells (C,), their covariance (C, C) in units of the variance, and the sum
        of squared residuals.
    """
    seen = (~np.isnan(table)).astype(float)
    filled, counts = np.nan_to_num(table), seen.sum(axis=1)
    share = seen / counts[:, None]
    means = filled.sum(axis=1) / counts
    between = np.diag(seen.sum(axis=0)) - seen.T @ share
    inverse = np.linalg.pinv(between, hermitian=True)
    seeds = inverse @ (filled.sum(axis=0) - seen.T @ means)
    cells = means - share @ seeds
    residuals = (table - cells[:, None] - seeds)[seen > 0]
    return cells, np.diag(1 / counts) + share @ inverse @ share.T, float(residuals @ residuals)
