"""Difference estimator: effects of a sweep with early stopping, with valid intervals.

A few compositions, the skeleton, always run to the end; all run to the first rung. A straight line
on the skeleton imputes the last value of every composition from its early one. The effect is the
contrast of the imputed values, over all compositions, plus the contrast of observed minus imputed
values, over the skeleton. The second part corrects errors of the line: the skeleton is one of the
cosets that partition all compositions, and averaged over cosets its contrast is the contrast of
all. Imputation alone would have the errors of the line; the skeleton alone is the slope 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import numpy.typing as npt
from scipy import stats

from handssl.stats.contrasts import LEVEL, Composition, Effect, effect_names, mean_effect, signs

Array = npt.NDArray[np.float64]
LEAST_FOR_SLOPE = 8
"""Cells of a block's skeleton below which the slope is 0: fewer don't determine one."""
_LEAST = 4
_SHRINKAGES = tuple(step / 10 for step in range(11))


@dataclass(frozen=True)
class BlockSample:
    """Observations of one block.

    Attributes:
        early: Values of every composition at epochs that all have reached, in mm.
        final: Last values of the skeleton, in mm.
    """

    early: Mapping[Composition, Sequence[float]]
    final: Mapping[Composition, float]


def difference_effects(
    blocks: Sequence[BlockSample],
    *,
    pairs: bool = False,
    level: float = LEVEL,
    slope: float | None = None,
) -> dict[str, Effect]:
    """Return effects with intervals from the skeletons of several blocks.

    In block b, with x the early and y the last values, n of N compositions in the skeleton S and
    one slope B for all blocks:

        (2 / N) sum over all of s(c) B x(c) + (2 / n) sum over S of s(c) (y(c) - B x(c))

    where s is the sign of the effect. B is the least squares slope within blocks, times the factor
    from 0 to 1 with the smallest leave-one-out error. A block's variance is 4 v (1 - n / N) / n
    with v the mean square of its leave-one-out errors; effects and variances are averaged over
    blocks. The interval is Student's, for the effect of all compositions in these blocks.

    Args:
        blocks: One or more blocks, each with its own skeleton.
        pairs: Whether to include interactions of two; those confounded by a skeleton cannot be
            separated.
        level: Confidence level of the intervals.
        slope: Factor on the least squares slope, instead of the one chosen: 0 is the skeleton
            alone, 1 the plain regression estimator.

    Returns:
        Effects by name. With two or more blocks they also have the interval for seeds in general:
        Student's t over the estimates of the blocks.

    Raises:
        ValueError: A skeleton has fewer than four compositions.

    Reference:
        C.-E. Saerndal, B. Swensson, J. Wretman, "Model Assisted Survey Sampling", 1992, chapter 6.
    """
    samples = [_Sample.of(block) for block in blocks]
    line = _line(samples, slope)
    names = {name for one in blocks[0].early for name in one}
    return {name: _effect(name, samples, line, level) for name in effect_names(names, pairs=pairs)}


@dataclass(frozen=True)
class _Sample:
    """One block as arrays: early values of all, early and last ones of the skeleton."""

    everything: list[Composition]
    chosen: list[Composition]
    all_early: Array
    early: Array
    final: Array

    @classmethod
    def of(cls, block: BlockSample) -> _Sample:
        everything, chosen = sorted(block.early), sorted(block.final)
        if len(chosen) < _LEAST:
            raise ValueError(
                f"expected a skeleton of {_LEAST} compositions or more, got {len(chosen)}"
            )
        all_early, early = (
            np.array([block.early[one][-1] for one in part]) for part in (everything, chosen)
        )
        return cls(
            everything, chosen, all_early, early, np.array([block.final[one] for one in chosen])
        )

    def effect(self, name: str, slope: float) -> float:
        """Return the contrast of the imputed values plus that of the errors."""
        imputed = 2.0 * np.mean(signs(self.everything, name) * slope * self.all_early)
        errors = self.final - slope * self.early
        return float(imputed + 2.0 * np.mean(signs(self.chosen, name) * errors))


@dataclass(frozen=True)
class _Line:
    """The line of all blocks.

    Attributes:
        slope: Its slope.
        errors: Leave-one-out errors of each block's skeleton, (n,) each.
    """

    slope: float
    errors: list[Array]

    def variance(self, number: int, sample: _Sample) -> float:
        """Return the variance of an effect in a block."""
        cells, share = len(sample.chosen), len(sample.chosen) / len(sample.everything)
        errors = self.errors[number]
        square = float(np.sum((errors - errors.mean()) ** 2)) / (cells - 1)
        return 4 * square * (1 - share) / cells

    def freedom(self, sample: _Sample) -> int:
        """Return the degrees of freedom of a block's variance."""
        return len(sample.chosen) - (2 if self.slope else 1)


def _line(samples: Sequence[_Sample], factor: float | None) -> _Line:
    """Return the line with the smallest leave-one-out error over all blocks."""
    few = min(len(sample.chosen) for sample in samples) < LEAST_FOR_SLOPE
    factors = (0.0,) if few else _SHRINKAGES if factor is None else (factor,)
    return min(
        (_with_factor(samples, one) for one in factors),
        key=lambda line: sum(float(np.sum(errors**2)) for errors in line.errors),
    )


def _with_factor(samples: Sequence[_Sample], factor: float) -> _Line:
    """Return the line whose least squares slope is multiplied by a factor.

    Without cell i of a block of n, sums of products about its mean lose n / (n - 1) times the
    product of the deviations of i.
    """
    x = [sample.early - sample.early.mean() for sample in samples]
    y = [sample.final - sample.final.mean() for sample in samples]
    xy = sum(float(a @ b) for a, b in zip(x, y, strict=True))
    xx = sum(float(a @ a) for a in x)
    errors = []
    for a, b in zip(x, y, strict=True):
        lost = len(a) / (len(a) - 1)
        without = _ratio(xy - lost * a * b, xx - lost * a * a)
        errors.append(lost * (b - factor * without * a))
    return _Line(factor * float(_ratio(np.array(xy), np.array(xx))), errors)


def _ratio(over: Array, under: Array) -> Array:
    """Return a slope; 0 where early values do not differ."""
    return np.where(under > 1e-12, over / np.maximum(under, 1e-12), 0.0)


def _effect(name: str, samples: Sequence[_Sample], line: _Line, level: float) -> Effect:
    count = len(samples)
    found = [sample.effect(name, line.slope) for sample in samples]
    variances = [line.variance(i, sample) / count**2 for i, sample in enumerate(samples)]
    total = sum(variances)
    freedoms = [line.freedom(sample) for sample in samples]
    weights = sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    freedom = total**2 / weights if weights > 0 else math.inf
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(total)
    mm = fmean(found)
    seeds = mean_effect(name, found, level)
    effect = Effect(name, mm, mm - half, mm + half, freedom)
    return replace(effect, seeds_low=seeds.low, seeds_high=seeds.high)
