"""Families of effects: moderated variances, p-values and simultaneous intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from handssl.stats.contrasts import Effect
from handssl.stats.holm import holm
from handssl.stats.moderation import moderated, variance_prior

LEAST_FREEDOM = 6.5
"""Degrees of freedom of a family's variances below which each effect keeps its own."""


def moderate(
    variances: npt.NDArray[np.float64], freedom: float
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the moderated variances of a family and their degrees of freedom.

    With two or three blocks a variance over blocks has one or two degrees of freedom of its own.
    Each is drawn towards that of the family. A family of effects is small beside the thousands for
    which the method was made, so the prior has at most effects - 1 degrees of freedom, and a
    variance above that of the family stays as it is: otherwise the intervals of an effect that
    varies more than the others are too narrow (`benchmarks/intervals.md`).

    Args:
        variances: Variance of each effect over blocks, shape (effects,).
        freedom: Degrees of freedom of each, above 0.

    Example:
        >>> moderate(np.array([1.0, 2.0, 3.0]), 4)
        (array([1.33333333, 2.        , 3.        ]), 6.0)
    """
    count = len(variances)
    if freedom * count < LEAST_FREEDOM or not variances.any():
        return variances, freedom
    prior = variance_prior(variances.tolist(), [freedom] * count)
    prior = prior._replace(freedom=min(prior.freedom, count - 1.0))
    found = [moderated(float(variance), freedom, prior) for variance in variances]
    return np.maximum([one for one, _ in found], variances), prior.freedom + freedom


def simultaneous_quantile(size: int, freedom: float, level: float) -> float:
    """Return c such that |t| of all effects of a family is at most c with probability `level`.

    Orthogonal contrasts are uncorrelated: P(max |t| <= c) = P(|t| <= c)^size where each has a
    variance of its own, and more where they share one (Sidak's inequality).

    Args:
        size: Number of effects in the family.
        freedom: Degrees of freedom of each.
        level: Confidence level of the family.

    Reference:
        Z. Sidak, "Rectangular confidence regions for the means of multivariate normal
        distributions", Journal of the American Statistical Association, 1967.
    """
    from scipy.special import stdtrit  # takes a moment

    return float(stdtrit(freedom, (1 + level ** (1 / size)) / 2))


class Spread(NamedTuple):
    """Variances of a family's estimates over seeds, in mm^2, with the degrees of freedom of each.

    Attributes:
        variances: One for each effect.
        freedom: Degrees of freedom, above 0.
    """

    variances: Iterable[float]
    freedom: float


def for_seeds(
    effects: Sequence[Effect], own: Spread, level: float, moderated: Spread | None = None
) -> list[Effect]:
    """Return a family of effects with all that holds for seeds in general.

    Moderated variances serve the intervals of single effects. P-values and simultaneous intervals
    come from each effect's own variance: where effects vary over seeds unlike, moderated ones made
    an error in 6 to 12 % of families instead of 5 % (`benchmarks/intervals.md`).

    Args:
        effects: All effects of one family.
        own: Their own variances.
        level: Confidence level of the intervals.
        moderated: Moderated variances, if there are any.
    """
    from scipy.special import stdtrit  # takes a moment

    errors, near = _errors(own), _errors(moderated or own)
    freedom = (moderated or own).freedom
    half = float(stdtrit(freedom, (1 + level) / 2))
    wide = simultaneous_quantile(len(effects), own.freedom, level)
    p = _p_values(effects, errors, own.freedom)
    sensitive = holm(_p_values(effects, near, freedom))
    return [
        replace(
            one,
            seeds_low=one.mm - half * n,
            seeds_high=one.mm + half * n,
            p=p[i],
            holm=adjusted,
            holm_moderated=sensitive[i],
            together=(one.mm - wide * e, one.mm + wide * e),
        )
        for i, (one, e, n, adjusted) in enumerate(zip(effects, errors, near, holm(p), strict=True))
    ]


def _errors(spread: Spread) -> list[float]:
    return [math.sqrt(variance) for variance in spread.variances]


def _p_values(effects: Sequence[Effect], errors: Sequence[float], freedom: float) -> list[float]:
    from scipy.special import stdtr

    return [
        2 * float(stdtr(freedom, -abs(one.mm) / error)) if error > 0 else float(one.mm == 0)
        for one, error in zip(effects, errors, strict=True)
    ]
