"""The least difference that planned seeds will detect, from the noncentral t distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ALPHA, POWER = 0.05, 0.8
_POINTS = 4001
_Values = NDArray[np.float64]


def t_power(effect: float, df: int, alpha: float = ALPHA) -> float:
    """Return the power of a two-sided t-test.

    Z + effect over sqrt(chi2 / df) exceeds the critical value either way; the normal part is
    integrated in closed form, the chi part by Simpson's rule.

    Args:
        effect: True difference in units of its standard error.
        df: Degrees of freedom, at least 1.
        alpha: Level.

    Example:
        >>> round(t_power(0.0, 5), 3)
        0.05

    Reference:
        J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, ch. 2.
    """
    return _exceeds(critical_t(df, alpha), effect, df)


@lru_cache(maxsize=256)
def critical_t(df: int, alpha: float = ALPHA) -> float:
    """Return the two-sided critical value of Student's t.

    Example:
        >>> round(critical_t(2), 3)
        4.303
    """
    return _bisect(lambda t: -_exceeds(t, 0.0, df), -alpha)


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
        2.81
    """
    if df < 1:
        return math.inf
    return standard_error * _bisect(lambda effect: t_power(effect, df, alpha), power)


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


def main_effect_mm(sd_mm: float, cells: int, blocks: int, *, factors: int, repeated: bool) -> float:
    """Return the detectable main effect of one transformation (hidden replication).

    Each block compares half of its cells with the other half. The noise of a cell within its block
    has the variance sd^2 / 2, so the effect has the standard error sd sqrt(2 / (cells blocks)).

    Args:
        sd_mm: Standard deviation of paired differences of two cells.
        cells: Of a block.
        blocks: Seeds.
        factors: k, the transformations.
        repeated: Whether all blocks have the same cells, as a full cube has; else effects above
            main effects are taken for noise, block means being estimated too.

    Example:
        >>> round(main_effect_mm(1.0, 128, 3, factors=7, repeated=True), 2)
        0.2

    Reference:
        G. Box, W. Hunter, J. Hunter, "Statistics for Experimenters", 2005, ch. 5.
    """
    rest = cells - 1 - factors - factors * (factors - 1) // 2
    within = (cells - 1) * (blocks - 1) if blocks > 1 else rest
    df = within if repeated else cells * blocks - blocks - factors
    return detectable(sd_mm * math.sqrt(2.0 / (cells * blocks)), df)


def _exceeds(bound: float, effect: float, df: int) -> float:
    scale, weight = _chi(df)
    erfc = np.vectorize(math.erfc)
    above = erfc((bound * scale - effect) / math.sqrt(2.0)) / 2
    below = erfc((bound * scale + effect) / math.sqrt(2.0)) / 2
    return float(((above + below) * weight).sum())


@lru_cache(maxsize=64)
def _chi(df: int) -> tuple[_Values, _Values]:
    """Return values of sqrt(chi2 / df) and their weights, which sum to one."""
    width = 10 / math.sqrt(2 * df)
    s = np.linspace(max(1e-12, 1 - width), 1 + width, _POINTS)
    log_density = (df - 1) * np.log(s) - df * s**2 / 2
    simpson = np.ones(_POINTS)
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    weight = simpson * np.exp(log_density - log_density.max())
    return s, weight / weight.sum()


def _bisect(rising: Callable[[float], float], wanted: float) -> float:
    low, high = 0.0, 1.0
    while rising(high) < wanted:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return high
