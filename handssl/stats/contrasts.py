"""Effects as contrasts: the mean with a transformation minus the mean without it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt

Composition = tuple[str, ...]
Values = Mapping[Composition, float]
LEVEL = 0.95


@dataclass(frozen=True)
class Effect:
    """Effect on the error of enabling a transformation, or of an interaction.

    Attributes:
        name: A transformation, or two as `a:b`: half of the change that b makes to the effect of a.
        mm: Change of the error in mm; below 0 it helps.
        low: Lower end of the interval for these seeds in mm: for the effect that complete runs of
            all compositions would have had in these blocks. It is `mm` if all were completed, NaN
            without an interval.
        high: Its upper end in mm.
        freedom: Degrees of freedom of that interval, 0 without one.
        seeds_low: Lower end of the interval for seeds in general in mm, NaN with one block.
        seeds_high: Its upper end in mm.
        p: P-value of no effect for seeds in general, NaN without that interval.
        holm: The same adjusted by Holm for the family: all main effects, or all pairs.
        holm_moderated: The same from moderated variances, for comparison.
        together: Simultaneous interval of the family for seeds in general, in mm; NaN without one.
        bounds: Estimates in mm if all missing values were the extreme observed ones.
        aliases: Effects that the skeletons do not separate from this one; a pair with aliases has
            no value.
    """

    name: str
    mm: float
    low: float = math.nan
    high: float = math.nan
    freedom: float = 0.0
    seeds_low: float = math.nan
    seeds_high: float = math.nan
    p: float = math.nan
    holm: float = math.nan
    holm_moderated: float = math.nan
    together: tuple[float, float] = (math.nan, math.nan)
    bounds: tuple[float, float] = (math.nan, math.nan)
    aliases: tuple[str, ...] = ()

    @property
    def order(self) -> int:
        """Number of its transformations."""
        return self.name.count(":") + 1

    def covers(self, mm: float) -> bool:
        """Return whether a value lies in the interval for these seeds."""
        return self.low <= mm <= self.high


def effect_names(names: Iterable[str], *, pairs: bool = False) -> tuple[str, ...]:
    """Return the names of main effects, then those of pairs if requested.

    Example:
        >>> effect_names(["b", "a"], pairs=True)
        ('a', 'b', 'a:b')
    """
    ordered = sorted(names)
    both = [f"{one}:{other}" for one, other in combinations(ordered, 2)] if pairs else []
    return (*ordered, *both)


def signs(compositions: Sequence[Composition], name: str) -> npt.NDArray[np.float64]:
    """Return the sign, +1 or -1, of each composition in an effect's contrast; (N,), read-only.

    Example:
        >>> signs([(), ("a",), ("b",), ("a", "b")], "a:b").tolist()
        [1.0, -1.0, -1.0, 1.0]
    """
    return _signs(tuple(compositions), name)


@lru_cache(maxsize=4096)
def _signs(compositions: tuple[Composition, ...], name: str) -> npt.NDArray[np.float64]:
    """Estimators ask for the same signs many times, and simulations for those of all cells."""
    found = np.ones(len(compositions))
    for part in name.split(":"):
        found[[part not in one for one in compositions]] *= -1.0
    found.setflags(write=False)
    return found


def contrast(values: Values, name: str) -> float:
    """Return (2 / N) sum of sign x value, over balanced compositions.

    Args:
        values: Value of each composition in mm.
        name: Name of the effect.
    """
    compositions = sorted(values)
    mm = np.array([values[one] for one in compositions])
    return float(2.0 * np.mean(signs(compositions, name) * mm))


def mean_effect(name: str, values: Sequence[float], level: float = LEVEL) -> Effect:
    """Return the mean over blocks, with two or more also its interval by Student's t.

    Args:
        name: Name of the effect.
        values: One value per block, in mm.
        level: Confidence level of the interval.

    Example:
        >>> found = mean_effect("blur", [1.0, 2.0, 3.0])
        >>> round(found.low, 2), found.mm, round(found.high, 2)
        (-0.48, 2.0, 4.48)
    """
    count, mean = len(values), fmean(values)
    if count < 2:
        return Effect(name, mean)
    from scipy import stats  # takes a second, and studies with one seed never need it

    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * stdev(values) / math.sqrt(count)
    ends = (mean - half, mean + half)
    return Effect(name, mean, *ends, count - 1, *ends)
