"""Effects as contrasts: the mean with a transformation minus the mean without it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
        low: Lower end of the interval in mm, NaN without one.
        high: Upper end of the interval in mm, NaN without one.
        freedom: Degrees of freedom of the interval, 0 without one.
        seeds_low: Lower end of the interval for seeds in general in mm, NaN without one; `low` and
            `high` are for the seeds of the study where cells were stopped.
        seeds_high: Its upper end in mm, NaN without one.
    """

    name: str
    mm: float
    low: float = math.nan
    high: float = math.nan
    freedom: float = 0.0
    seeds_low: float = math.nan
    seeds_high: float = math.nan

    def covers(self, mm: float) -> bool:
        """Return whether a value lies in the interval."""
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
    """Return the sign, +1 or -1, of each composition in the contrast of an effect; shape (N,).

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
        values: Value of each composition in mm.
        name: Name of the effect.
    """
    compositions = sorted(values)
    mm = np.array([values[one] for one in compositions])
    return float(2.0 * np.mean(signs(compositions, name) * mm))


def full_effects(
    blocks: Sequence[Values], *, pairs: bool = False, level: float = LEVEL
) -> dict[str, Effect]:
    """Return effects from complete runs of all compositions.

    The mean over blocks of (2 / 2^k) sum of sign x value; with two or more blocks also an interval
    for seeds in general, from the variance between blocks: Student's t with (blocks - 1) degrees of
    freedom.

    Args:
        blocks: All 2^k values of each block, in mm.
        pairs: Whether to include interactions of two.
        level: Confidence level of the intervals.

    Returns:
        Effects by name.

    Example:
        >>> values = {(): 80.0, ("a",): 76.0, ("b",): 82.0, ("a", "b"): 78.0}
        >>> {name: effect.mm for name, effect in full_effects([values]).items()}
        {'a': -4.0, 'b': 2.0}
    """
    names = {name for composition in blocks[0] for name in composition}
    return {
        name: mean_effect(name, [contrast(values, name) for values in blocks], level)
        for name in effect_names(names, pairs=pairs)
    }


def last_value_effects(blocks: Sequence[Values], *, pairs: bool = False) -> dict[str, Effect]:
    """Return effects from last values, in which stopped trials count with their last epoch.

    Biased, because stopping depends on the quantity to be estimated; included for comparison.

    Args:
        blocks: The last value of every composition in mm, at any epoch.
        pairs: Whether to include interactions of two.
    """
    return full_effects(blocks, pairs=pairs)


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


def finisher_effects(blocks: Sequence[Values], names: Sequence[str]) -> dict[str, Effect]:
    """Return main effects by least squares on the trials that were completed.

    Biased, and often not determined at all; included for comparison.

    Args:
        blocks: Values of the completed compositions of each block, in mm.
        names: The transformations.

    Returns:
        Effects by name; NaN if the completed trials do not determine them.
    """
    rows, wanted = [], []
    for number, values in enumerate(blocks):
        compositions = sorted(values)
        main = [signs(compositions, name) / 2 for name in effect_names(names)]
        means = [np.full(len(compositions), float(i == number)) for i in range(len(blocks))]
        rows.append(np.stack([*means, *main], axis=1))
        wanted += [values[one] for one in compositions]
    design = np.concatenate(rows)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return {name: Effect(name, math.nan) for name in effect_names(names)}
    found = np.linalg.lstsq(design, np.array(wanted), rcond=None)[0][len(blocks) :]
    return {n: Effect(n, float(mm)) for n, mm in zip(effect_names(names), found, strict=True)}
