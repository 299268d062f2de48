"""The least difference that planned seeds will detect, from the noncentral t distribution."""

from __future__ import annotations

import math

from scipy import optimize, stats

ALPHA, POWER = 0.05, 0.8


def t_power(effect: float, df: int, alpha: float = ALPHA) -> float:
    """Return the power of a two-sided t-test, from the noncentral t distribution.

    Args:
        effect: True difference in units of its standard error.
        df: Degrees of freedom, at least 1.
        alpha: Level.

    Example:
        >>> round(t_power(0.0, 5), 3), round(t_power(4.0, 5), 3)
        (0.05, 0.887)

    Reference:
        J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, ch. 2.
    """
    critical = stats.t.ppf(1 - alpha / 2, df)
    # The square of a noncentral t is a noncentral F, which is stable where effects are large.
    return float(stats.ncf.sf(critical**2, 1, df, max(effect**2, 1e-12)))


def detectable(
    standard_error: float, df: int, *, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Return the least difference that is found with the power asked for.

    Args:
        standard_error: Of the estimate, in mm.
        df: Degrees of freedom of its estimate of error; below 1 nothing can be tested.
        alpha: Two-sided level.
        power: Wanted.

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
        sd_mm: Standard deviation of the paired differences over blocks.
        blocks: Seeds.

    Example:
        >>> round(paired_mm(1.0, 10), 2)
        1.0
    """
    return detectable(sd_mm / math.sqrt(blocks), blocks - 1)


def main_effect_mm(sd_mm: float, cells: int, blocks: int) -> float:
    """Return the detectable main effect where all compositions run to the end.

    As the report tests it: each block compares half of its cells with the other half, and the
    spread of these contrasts over blocks, Student's t with one less than their number, says what
    they are worth. The noise of a cell within its block has the variance sd^2 / 2, so the effect
    has the standard error sd sqrt(2 / (cells blocks)).

    Args:
        sd_mm: Standard deviation of paired differences of two cells.
        cells: Of a block, all 2^k.
        blocks: Seeds; one alone says nothing of others.

    Example:
        >>> round(main_effect_mm(1.0, 128, 3), 2)
        0.41

    Reference:
        G. Box, W. Hunter, J. Hunter, "Statistics for Experimenters", 2005, ch. 5.
    """
    return detectable(sd_mm * math.sqrt(2.0 / (cells * blocks)), blocks - 1)


def skeleton_effect_mm(sd_mm: float, cells: int, skeleton: int, blocks: int) -> float:
    """Return the detectable main effect where only a skeleton is sure to run to the end.

    As the report tests it, with the difference estimator for the effect in these blocks. Errors v
    of a regression on n cells, of which each is left out in turn, give the variance
    4 v (1 - n / N) / n of a block and n - 2 degrees of freedom. If the early values tell all but
    the noise of a cell, v is (sd^2 / 2) n / (n - 2); the less they tell, the more is needed.

    Args:
        sd_mm: Standard deviation of paired differences of two cells.
        cells: All compositions, N.
        skeleton: Those of a block that run to the end, n, fewer than N.
        blocks: Seeds.

    Returns:
        In mm; infinite where the skeleton is too small for a regression, below four cells.

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
