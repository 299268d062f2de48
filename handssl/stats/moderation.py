"""Moderated variances: each is drawn towards the variance that several comparisons share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Prior(NamedTuple):
    """Distribution of the true variances: scaled inverse chi-square.

    Attributes:
        variance: Its scale s0^2, in the unit of the variances.
        freedom: Its degrees of freedom d0; infinite if the variances do not differ by more than
            chance.
    """

    variance: float
    freedom: float


def variance_prior(variances: Sequence[float], freedom: Sequence[float]) -> Prior:
    """Estimate the distribution of true variances from estimates of them.

    The logarithms of estimates vary by chance, with the variance psi'(d / 2), and by the spread of
    the true variances, with psi'(d0 / 2). The method of moments gives d0 and s0^2.

    Args:
        variances: Estimates s^2, at least two.
        freedom: Their degrees of freedom d, at least 1.

    Example:
        >>> prior = variance_prior([1.0, 1.0, 1.0], [4, 4, 4])
        >>> prior.freedom, round(prior.variance, 6)
        (inf, 1.0)

    Reference:
        G. Smyth, "Linear models and empirical Bayes methods for assessing differential expression
        in microarray experiments", Statistical Applications in Genetics and Molecular Biology
        2004, sec. 6.2.
    """
    from scipy.special import digamma, polygamma

    found, half = np.asarray(variances, dtype=float), np.asarray(freedom, dtype=float) / 2
    # A variance of 0 has no logarithm.
    found = np.maximum(found, max(1e-5 * float(np.median(found)), 1e-12))
    logs = np.log(found) - digamma(half) + np.log(half)
    spread = float(np.var(logs, ddof=1) - np.mean(polygamma(1, half)))
    if spread <= 0:
        return Prior(float(np.average(found, weights=half)), math.inf)
    prior = _inverse_trigamma(spread)
    scale = math.exp(float(np.mean(logs)) + float(digamma(prior)) - math.log(prior))
    return Prior(scale, 2 * prior)


def moderated(variance: float, freedom: float, prior: Prior) -> tuple[float, float]:
    """Return the moderated variance (d0 s0^2 + d s^2) / (d0 + d) with its degrees of freedom.

    Args:
        variance: Estimate s^2.
        freedom: Its degrees of freedom d.
        prior: Distribution of the true variances.

    Example:
        >>> moderated(4.0, 2, Prior(1.0, 4.0))
        (2.0, 6.0)
    """
    if math.isinf(prior.freedom):
        return prior.variance, math.inf
    total = prior.freedom + freedom
    return (prior.freedom * prior.variance + freedom * variance) / total, total


def _inverse_trigamma(value: float) -> float:
    """Return x with psi'(x) = value, by root finding between bounds of psi'."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    # 1 / x < psi'(x) < 1 / x + 1 / x^2
    highest = (1 + math.sqrt(1 + 4 * value)) / (2 * value)
    return float(brentq(lambda x: polygamma(1, x) - value, 1 / value, highest))
