"""Effects as contrasts: the mean with a transformation minus the mean without it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt
from scipy import stats

Composition = tuple[str, ...]
Values = Mapping[Composition, float]
LEVEL = 0.95


@dataclass(frozen=True)
class Effect:
    """What switching something on does to the error.

    Attributes:
        name: A transformation, or two as `a:b`: half of what b changes about the effect of a.
        mm: Below 0 it helps.
        low: Lower end of the interval, NaN without one.
        high: Its upper end.
        freedom: Degrees of freedom of the interval, 0 without one.
    """

    name: str
    mm: float
    low: float = math.nan
    high: float = math.nan
    freedom: float = 0.0

    def covers(self, mm: float) -> bool:
        """Say whether a value lies in the interval."""
        return self.low <= mm <= self.high


def effect_names(names: Iterable[str], *, pairs: bool = False) -> tuple[str, ...]:
    """Return main effects, then pairs if wanted.

    Example:
        >>> effect_names(["b", "a"], pairs=True)
        ('a', 'b', 'a:b')
    """
    ordered = sorted(names)
    both = [f"{one}:{other}" for one, other in combinations(ordered, 2)] if pairs else []
    return (*ordered, *both)


def signs(compositions: Sequence[Composition], name: str) -> npt.NDArray[np.float64]:
    """Return +1 where an effect counts a composition and -1 where it does not; shape (N,).

    Example:
        >>> signs([(), ("a",), ("b",), ("a", "b")], "a:b").tolist()
        [1.0, -1.0, -1.0, 1.0]
    """
    parts = name.split(":")
    return np.array(
        [math.prod(1.0 if part in one else -1.0 for part in parts) for one in compositions]
    )


def contrast(values: Values, name: str) -> float:
    """Return (2 / N) sum of sign x value, over balanced compositions.

    Args:
        values: In mm.
        name: Of the effect.
    """
    compositions = sorted(values)
    mm = np.array([values[one] for one in compositions])
    return float(2.0 * np.mean(signs(compositions, name) * mm))


def full_effects(
    blocks: Sequence[Values], *, pairs: bool = False, level: float = LEVEL
) -> dict[str, Effect]:
    """Return effects from every composition run whole.

    The mean over blocks of (2 / 2^k) sum of sign x value; with two blocks and more an interval for
    seeds in general, from the spread of the blocks: Student's t with one less than their number.

    Args:
        blocks: All 2^k values of each block, in mm.
        pairs: Interactions of two as well.
        level: Of the intervals.

    Returns:
        By name.

    Example:
        >>> values = {(): 80.0, ("a",): 76.0, ("b",): 82.0, ("a", "b"): 78.0}
        >>> {name: effect.mm for name, effect in full_effects([values]).items()}
        {'a': -4.0, 'b': 2.0}
    """
    names = {name for composition in blocks[0] for name in composition}
    return {
        name: _over_blocks(name, [contrast(values, name) for values in blocks], level)
        for name in effect_names(names, pairs=pairs)
    }


def last_value_effects(blocks: Sequence[Values], *, pairs: bool = False) -> dict[str, Effect]:
    """Return what a table of last values shows: trials that were stopped count as they stood.

    Biased, because who was stopped depends on what is to be estimated; here to compare with.

    Args:
        blocks: The last value of every composition, whatever its epoch.
        pairs: Interactions of two as well.
    """
    return full_effects(blocks, pairs=pairs)


def _over_blocks(name: str, values: Sequence[float], level: float) -> Effect:
    count, mean = len(values), fmean(values)
    if count < 2:
        return Effect(name, mean)
    half = stats.t.ppf((1 + level) / 2, count - 1) * stdev(values) / math.sqrt(count)
    return Effect(name, mean, mean - half, mean + half, count - 1)
