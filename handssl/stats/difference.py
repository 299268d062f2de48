"""Difference estimator: effects of a sweep with early stopping, with valid intervals.

A few compositions, the skeleton, always run to the end; all run to the first rung. A straight line
on the skeleton imputes the last value of every composition from its early one. The effect is the
contrast of the imputed values, over all compositions, plus the contrast of observed minus imputed
values, over the skeleton. The second part corrects errors of the line: the skeleton is one of the
cosets that partition all compositions, and averaged over cosets its contrast is the contrast of
all. Imputation alone would have the errors of the line; the skeleton alone is the slope 0.

A missing value of the skeleton is replaced by its least squares prediction from the main effects on
observed minus imputed values and the means of blocks, over the skeletons of all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import numpy as np
from scipy.special import stdtrit

from handssl.stats.aliases import aliases
from handssl.stats.contrasts import LEVEL, Effect, effect_names, signs
from handssl.stats.families import Spread, for_seeds
from handssl.stats.imputation import Array, BlockSample, Line, Sample, fit_line


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
    from 0 to 1 with the smallest leave-one-out error; see `fit_line` for small skeletons. A block's
    variance is 4 v (1 - n / N) / n with v the mean square of its leave-one-out errors; effects and
    variances are averaged over blocks. The interval is Student's, for the effect of all
    compositions in these blocks.

    Args:
        blocks: One or more blocks, each with its own skeleton.
        pairs: Whether to include interactions of two. Those that the skeletons do not separate from
            other effects have no value (NaN), but name the others.
        level: Confidence level of the intervals.
        slope: Factor on the least squares slope, instead of the one chosen: 0 is the skeleton
            alone, 1 the plain regression estimator.

    Returns:
        Effects by name. With two or more blocks they also have the interval for seeds in general:
        Student's t over the estimates of the blocks.

    Raises:
        ValueError: A skeleton has fewer than four compositions with a last value, or those of all
            blocks do not determine the main effects.

    Reference:
        C.-E. Saerndal, B. Swensson, J. Wretman, "Model Assisted Survey Sampling", 1992, chapter 6.
    """
    names = effect_names({name for one in blocks[0].early for name in one})
    line = fit_line([Sample.of(block) for block in blocks], slope)
    found, samples = _Estimates.of(line, names, level), line.samples
    if not pairs:
        return {effect.name: effect for effect in found.family(names)}
    mixed = aliases([sample.chosen for sample in samples], names)
    own = [replace(effect, aliases=mixed[effect.name]) for effect in found.family(names)]
    both = effect_names(names, pairs=True)[len(names) :]
    clear = {one.name: one for one in found.family([name for name in both if not mixed[name]])}
    nothing = {name: Effect(name, math.nan, aliases=mixed[name]) for name in both}
    return {effect.name: effect for effect in own} | nothing | clear


@dataclass(frozen=True)
class _Estimates:
    """Estimates of effects in all blocks.

    Attributes:
        line: The line of all blocks.
        errors: Observed minus imputed values of each block's skeleton, completed.
        excess: Variance of an effect over that with whole skeletons, by name of a main effect.
        level: Confidence level of the intervals.
    """

    line: Line
    errors: list[Array]
    excess: Mapping[str, float]
    level: float

    @classmethod
    def of(cls, line: Line, names: Sequence[str], level: float) -> _Estimates:
        errors = [sample.final - line.slope * sample.early for sample in line.samples]
        if all(sample.done.all() for sample in line.samples):
            return cls(line, errors, {}, level)
        return cls(line, *_fitted(line.samples, names, errors), level)

    @property
    def samples(self) -> Sequence[Sample]:
        """The blocks."""
        return self.line.samples

    def family(self, names: Sequence[str]) -> list[Effect]:
        """Return the effects of one family."""
        found = [self._of_blocks(name) for name in names]
        effects = [self._effect(name, own) for name, own in zip(names, found, strict=True)]
        count = len(self.samples)
        if count < 2 or not names:
            return effects
        over_seeds = [
            self._excess(name) * stdev(own) ** 2 / count
            for name, own in zip(names, found, strict=True)
        ]
        return for_seeds(effects, Spread(over_seeds, count - 1), self.level)

    def _excess(self, name: str) -> float:
        return self.excess.get(name, max(self.excess.values(), default=1.0))

    def _of_blocks(self, name: str) -> list[float]:
        return [
            sample.effect(name, self.line.slope, errors)
            for sample, errors in zip(self.samples, self.errors, strict=True)
        ]

    def _effect(self, name: str, found: Sequence[float]) -> Effect:
        """Return an effect with its interval for these seeds."""
        count, excess = len(self.samples), self._excess(name)
        variances = [
            self.line.variance(i, sample, excess) / count**2
            for i, sample in enumerate(self.samples)
        ]
        total = sum(variances)
        weights = sum(v**2 / self.line.freedom(i) for i, v in enumerate(variances))
        freedom = total**2 / weights if weights > 0 else math.inf
        half = float(stdtrit(freedom, (1 + self.level) / 2)) * math.sqrt(total)
        mm = fmean(found)
        bounds = (mm, mm) if self._whole else self._bounds(name)
        return Effect(name, mm, mm - half, mm + half, freedom, bounds=bounds)

    @property
    def _whole(self) -> bool:
        """Whether no last value of a skeleton is missing."""
        return not self.excess

    def _bounds(self, name: str) -> tuple[float, float]:
        """Return the estimates with the missing last values at either end of their block's."""
        middle, half = [], []
        for sample in self.samples:
            low, high = float(np.nanmin(sample.final)), float(np.nanmax(sample.final))
            final = np.where(sample.done, sample.final, (low + high) / 2)
            errors = final - self.line.slope * sample.early
            middle.append(sample.effect(name, self.line.slope, errors))
            half.append(float((~sample.done).mean()) * (high - low))
        return fmean(middle) - fmean(half), fmean(middle) + fmean(half)


def _fitted(
    samples: Sequence[Sample], names: Sequence[str], errors: Sequence[Array]
) -> tuple[list[Array], dict[str, float]]:
    """Return the errors with missing ones predicted, and how much that adds to variances."""
    count = len(samples)
    parts = [
        np.concatenate(
            [
                np.eye(count)[np.full(len(sample.chosen), i)],
                np.array([signs(sample.chosen, name) for name in names]).T / 2,
            ],
            axis=1,
        )
        for i, sample in enumerate(samples)
    ]
    design = np.concatenate([part[one.done] for part, one in zip(parts, samples, strict=True)])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError("expected skeletons whose completed compositions tell main effects apart")
    inverse = np.linalg.inv(design.T @ design)
    known = np.concatenate([e[one.done] for e, one in zip(errors, samples, strict=True)])
    found = inverse @ design.T @ known
    whole = sum(4 / len(sample.chosen) for sample in samples) / count**2
    excess = dict(zip(names, (np.diag(inverse)[count:] / whole).tolist(), strict=True))
    filled = [
        np.where(one.done, e, part @ found)
        for e, one, part in zip(errors, samples, parts, strict=True)
    ]
    return filled, excess
