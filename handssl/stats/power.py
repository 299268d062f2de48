"""Smallest difference that planned seeds will detect, from the noncentral t distribution."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

ALPHA, POWER = 0.05, 0.8
MOST_SEEDS = 1000


def t_power(effect: float, df: int, alpha: float = ALPHA) -> float:
    """Return the power of a two-sided t-test, from the noncentral t distribution.

    Args:
        effect: True difference in units of its standard error.
        df: Degrees of freedom, at least 1.
        alpha: Two-sided significance level.

    Example:
        >>> round(t_power(0.0, 5), 3), round(t_power(4.0, 5), 3)
        (0.05, 0.887)

    Reference:
        J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, ch. 2.
    """
    critical = stats.t.ppf(1 - alpha / 2, df)
    # The square of a noncentral t is a noncentral F, which is stable for large effects.
    return float(stats.ncf.sf(critical**2, 1, df, max(effect**2, 1e-12)))


def detectable(
    standard_error: float, df: int, *, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Return the smallest difference that is detected with the given power.

    Args:
        standard_error: Standard error of the estimate in mm.
        df: Degrees of freedom of its estimate of error; below 1 nothing can be tested.
        alpha: Significance level of the two-sided test.
        power: Required power.

    Returns:
        Difference in mm; infinite without degrees of freedom.

    Example:
        >>> round(detectable(1.0, 1000), 2)
        2.8
    """
    if df < 1:
        return math.inf
    # An upper bound: with df = 1 the power is 80 % at 1.3 critical values.
    highest = 2 * stats.t.ppf(1 - alpha / 2, df) + 6
    effect = optimize.brentq(lambda effect: t_power(effect, df, alpha) - power, 0.0, highest)
    return standard_error * float(effect)


def paired_mm(sd_mm: float, blocks: int) -> float:
    """Return the detectable difference of two cells that share their blocks.

    Args:
        sd_mm: Standard deviation of the paired differences over blocks in mm.
        blocks: Number of blocks (seeds).

    Example:
        >>> round(paired_mm(1.0, 10), 2)
        1.0
    """
    return detectable(sd_mm / math.sqrt(blocks), blocks - 1)


def equivalence_power(effect: float, margin: float, df: int, alpha: float = ALPHA) -> float:
    """Return the power of two one-sided t-tests to show that a difference is within a margin.

    Both tests reject where |difference| < margin - t s with the critical value t and the estimated
    standard error s; the probability of that is averaged over the distribution of s.

    Args:
        effect: True difference in units of its standard error.
        margin: Margin of equivalence in the same units.
        df: Degrees of freedom, at least 1.
        alpha: Significance level of each test.

    Example:
        >>> [round(equivalence_power(effect, 4.0, 5), 2) for effect in (0.0, 4.0)]
        [0.92, 0.05]

    Reference:
        D. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
        Journal of Pharmacokinetics and Biopharmaceutics 1987.
    """
    spread, weight = chi_nodes(df)
    free = margin - stats.t.ppf(1 - alpha, df) * spread
    inside = stats.norm.cdf(free - effect) - stats.norm.cdf(-free - effect)
    return float(np.sum(weight * np.maximum(inside, 0.0)))


@cache
def chi_nodes(df: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return nodes and weights of integrals over an estimated standard deviation.

    Args:
        df: Degrees of freedom of s; s^2 df has a chi-square distribution.

    Returns:
        Values of s, the true one being 1, and their weights; both have the shape (96,).

    Example:
        >>> spread, weight = chi_nodes(4)
        >>> round(float(np.sum(weight * spread**2)), 6)
        1.0
    """
    low, high = np.sqrt(stats.chi2.ppf([1e-12, 1 - 1e-12], df) / df)
    nodes, weights = _legendre()
    spread = low + (high - low) * (nodes + 1) / 2
    density = 2 * df * spread * stats.chi2.pdf(df * spread**2, df)
    return spread, weights * (high - low) / 2 * density


@cache
def _legendre() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.polynomial.legendre.leggauss(96)


def seeds_to_settle(
    mm: float, sd_mm: float, *, margin_mm: float = 0.0, alpha: float = ALPHA, power: float = POWER
) -> int:
    """Return the number of seeds that show a difference of two paired cells, or equivalence.

    Args:
        mm: Their true difference in mm.
        sd_mm: Standard deviation of the paired differences over seeds in mm.
        margin_mm: Margin of equivalence in mm; 0: only a difference is sought.
        alpha: Significance level of each test.
        power: Required power of one of the two tests.

    Returns:
        At least 2, at most `MOST_SEEDS`, which may be too few.

    Example:
        >>> seeds_to_settle(1.0, 1.0), seeds_to_settle(0.0, 1.0, margin_mm=1.0)
        (10, 11)
    """
    sd_mm = max(sd_mm, 1e-9)

    def reached(seeds: int) -> float:
        unit, df = sd_mm / math.sqrt(seeds), seeds - 1
        told = t_power(mm / unit, df, alpha) if mm else 0.0
        return max(told, equivalence_power(mm / unit, margin_mm / unit, df, alpha))

    able = range(2, MOST_SEEDS)
    return able.start + bisect_left(able, power, key=reached)


def main_effect_mm(sd_mm: float, cells: int, blocks: int, effect_sd_mm: float = 0.0) -> float:
    """Return the detectable main effect if all compositions run to the end.

    Same test as in the report: each block contrasts half of its cells with the other half, and
    Student's t with (blocks - 1) degrees of freedom tests the mean of these contrasts against their
    spread over blocks. The noise of a cell within its block has the variance sd^2 / 2, so the
    effect has the standard error sqrt((2 sd^2 / cells + s^2) / blocks) with s of `effect_sd_mm`.

    Args:
        sd_mm: Standard deviation of paired differences of two cells in mm.
        cells: Cells of a block, all 2^k.
        blocks: Number of blocks (seeds); with one, nothing can be tested.
        effect_sd_mm: Standard deviation over seeds of the effect itself in mm.

    Example:
        >>> round(main_effect_mm(1.0, 128, 3), 2)
        0.41

    Reference:
        G. Box, W. Hunter, J. Hunter, "Statistics for Experimenters", 2005, ch. 5.
    """
    block = 2.0 * sd_mm**2 / cells + effect_sd_mm**2
    return detectable(math.sqrt(block / blocks), blocks - 1)


def skeleton_effect_mm(sd_mm: float, cells: int, skeleton: int, blocks: int) -> float:
    """Return the detectable main effect if only a skeleton is certain to run to the end.

    Same test as in the report, with the difference estimator for the effect in these blocks. The
    leave-one-out error variance v of a regression on n cells gives a block's variance
    4 v (1 - n / N) / n with n - 2 degrees of freedom. If the early values explain all but the noise
    of a cell, v is (sd^2 / 2) n / (n - 2); the less they explain, the larger v is.

    Args:
        sd_mm: Standard deviation of paired differences of two cells in mm.
        cells: Number of all compositions, N.
        skeleton: Cells of a block that run to the end, n < N.
        blocks: Number of blocks (seeds).

    Returns:
        Difference in mm; infinite if the skeleton has fewer than four cells, too few for a
        regression.

    Example:
        >>> round(skeleton_effect_mm(1.0, 128, 16, 3), 2)
        0.59
    """
    freedom = skeleton - 2
    if freedom < 2:
        return math.inf
    noise = sd_mm**2 / 2 * skeleton / freedom
    variance = 4 * noise * (1 - skeleton / cells) / skeleton
    return detectable(math.sqrt(variance / blocks), blocks * freedom)
