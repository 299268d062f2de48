"""Standard deviation of repeats within groups, with its interval, and what it cannot tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, variance

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """A standard deviation within groups.

    Attributes:
        sd: Standard deviation, in the unit of the values.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n: Number of values.
        df: Degrees of freedom: values minus groups.
    """

    sd: float
    low: float
    high: float
    n: int
    df: int


def spread_within(groups: Iterable[Sequence[float]]) -> Spread | None:
    """Pool the variances of groups; each group has a mean of its own.

    With df degrees of freedom, df s^2 / sigma^2 has a chi-square distribution if values are normal.

    Args:
        groups: Values of repeats, by group; groups of one value tell nothing and are left out.

    Returns:
        The pooled standard deviation; None if no group has two values.

    Example:
        >>> found = spread_within([[1.0, 3.0], [10.0, 12.0, 14.0]])
        >>> round(found.sd, 3), found.n, found.df
        (1.826, 5, 3)

    Reference:
        G. Snedecor, W. Cochran, "Statistical Methods", 1989, sec. 5.
    """
    able = [values for values in groups if len(values) > 1]
    df = sum(len(values) - 1 for values in able)
    if not df:
        return None
    from scipy import stats  # takes a second, and studies without repeats never need it

    total = math.fsum((len(values) - 1) * variance(values) for values in able)
    tail = (1.0 - LEVEL) / 2
    low, high = (math.sqrt(total / stats.chi2.ppf(q, df)) for q in (1.0 - tail, tail))
    return Spread(math.sqrt(total / df), float(low), float(high), sum(map(len, able)), df)


def undecided_below(sd: float, other_sd: float, blocks: int = 1) -> float:
    """Return the difference of two cells below which repeats alone would reverse the sign.

    A difference of means over n blocks has the standard deviation sqrt((s_a^2 + s_b^2) / n) from
    rounding alone, whatever the seeds; 1.96 of it are not exceeded in 95 % of repeats.

    Args:
        sd: Standard deviation of one cell's repeats, its noise floor.
        other_sd: Likewise of the other cell's.
        blocks: Number of blocks (seeds) over which both are averaged.

    Returns:
        Difference in the unit of the standard deviations.

    Example:
        >>> round(undecided_below(1.0, 1.0, blocks=2), 2)
        1.96
    """
    return NormalDist().inv_cdf(0.5 + LEVEL / 2) * math.sqrt((sd**2 + other_sd**2) / blocks)
