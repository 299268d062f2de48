"""Straight line that imputes the last values of compositions from their early ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from handssl.stats.contrasts import Composition, effect_names, signs

Array = npt.NDArray[np.float64]
FEW = 8
"""Cells of a skeleton below which one of them may decide the slope."""
_LEAST = 4
_SHRINKAGES = tuple(step / 10 for step in range(11))
_FAR_OUT = 3.0


@dataclass(frozen=True)
class BlockSample:
    """Observations of one block; NaN where a composition has no value.

    Attributes:
        early: Values of every composition at epochs that all have reached, in mm.
        final: Last values of the skeleton, in mm.
    """

    early: Mapping[Composition, Sequence[float]]
    final: Mapping[Composition, float]


@dataclass(frozen=True)
class Sample:
    """One block as arrays: early values of all, early and last ones of the skeleton."""

    everything: list[Composition]
    chosen: list[Composition]
    all_early: Array
    early: Array
    final: Array

    @classmethod
    def of(cls, block: BlockSample) -> Sample:
        """Return a block as arrays.

        Raises:
            ValueError: Its skeleton has fewer than four last values.
        """
        everything, chosen = sorted(block.early), sorted(block.final)
        final = np.array([block.final[one] for one in chosen])
        if (count := int(np.isfinite(final).sum())) < _LEAST:
            raise ValueError(f"expected a skeleton of {_LEAST} compositions or more, got {count}")
        all_early = _completed(everything, np.array([block.early[one][-1] for one in everything]))
        place = {one: i for i, one in enumerate(everything)}
        early = all_early[[place[one] for one in chosen]]
        return cls(everything, chosen, all_early, early, final)

    @property
    def done(self) -> npt.NDArray[np.bool_]:
        """Where the skeleton has last values."""
        return np.isfinite(self.final)

    def fenced(self) -> Sample:
        """Return the block with early values beyond the outer fences moved onto them.

        The fences lie three interquartile ranges outside of the quartiles of all compositions. One
        early value of 40 mm too much moves an effect by the slope times 80 / N mm if it is not in
        the skeleton, and no leave-one-out error shows it. The difference estimator is right for any
        function of early values, so the fence causes no bias.

        Reference:
            J. Tukey, "Exploratory Data Analysis", 1977, sec. 2D.
        """
        low, high = np.quantile(self.all_early, [0.25, 0.75])
        ends = low - _FAR_OUT * (high - low), high + _FAR_OUT * (high - low)
        early, all_early = np.clip(self.early, *ends), np.clip(self.all_early, *ends)
        return replace(self, early=early, all_early=all_early)

    def effect(self, name: str, slope: float, errors: Array) -> float:
        """Return the contrast of the imputed values plus that of the errors."""
        imputed = slope * (signs(self.everything, name) @ self.all_early) / len(self.all_early)
        return float(2.0 * (imputed + signs(self.chosen, name) @ errors / len(errors)))


def _completed(compositions: Sequence[Composition], values: Array) -> Array:
    """Return values with those that are missing predicted from main effects.

    Any prediction will do: the difference estimator is right for whatever stands in both terms.
    """
    seen = np.isfinite(values)
    if seen.all():
        return values
    names = effect_names({name for one in compositions for name in one})
    design = np.array([np.ones(len(values)), *(signs(compositions, name) for name in names)]).T
    if np.linalg.matrix_rank(design[seen]) < design.shape[1]:
        return np.where(seen, values, np.mean(values[seen]) if seen.any() else 0.0)
    fitted = design @ np.linalg.lstsq(design[seen], values[seen], rcond=None)[0]
    return np.where(seen, values, fitted)


@dataclass(frozen=True)
class Line:
    """The line of all blocks.

    Attributes:
        samples: The blocks.
        slope: Its slope.
        errors: Leave-one-out errors of each block's skeleton where it has last values, (n,) each.
    """

    samples: Sequence[Sample]
    slope: float
    errors: list[Array]

    @property
    def loss(self) -> float:
        """Sum of the squared leave-one-out errors in mm^2."""
        return sum(float(errors @ errors) for errors in self.errors)

    def variance(self, number: int, sample: Sample, excess: float) -> float:
        """Return the variance of an effect in a block, `excess` times that of a whole skeleton."""
        errors = self.errors[number]
        square = float(np.sum((errors - errors.mean()) ** 2)) / (len(errors) - 1)
        return 4 * square * (excess / len(sample.chosen) - 1 / len(sample.everything))

    def freedom(self, number: int) -> int:
        """Return the degrees of freedom of a block's variance."""
        return len(self.errors[number]) - (2 if self.slope else 1)


def fit_line(samples: Sequence[Sample], factor: float | None) -> Line:
    """Return the line with the smallest leave-one-out error over all blocks.

    Where a block's skeleton has fewer than `FEW` cells, early values are `Sample.fenced`. The slope
    is 0 where the skeletons of all blocks, each with its own mean, have fewer degrees of freedom
    than one of `FEW` cells: with 4 cells, in one block or two.

    Args:
        samples: The blocks.
        factor: Factor on the least squares slope, of early values as they are; None to choose it.
    """
    counts = [int(sample.done.sum()) for sample in samples]
    if factor is not None:
        return _with_factor(samples, factor)
    if min(counts) < FEW:
        samples = [sample.fenced() for sample in samples]
    # Less freedom than in a single block of FEW cells determines no slope.
    factors = _SHRINKAGES if sum(counts) - len(counts) >= FEW - 1 else (0.0,)
    return min((_with_factor(samples, one) for one in factors), key=lambda line: line.loss)


def _with_factor(samples: Sequence[Sample], factor: float) -> Line:
    """Return the line whose least squares slope is multiplied by a factor.

    Without cell i of a block of n, sums of products about its mean lose n / (n - 1) times the
    product of the deviations of i.
    """
    x = [sample.early[sample.done] - sample.early[sample.done].mean() for sample in samples]
    y = [sample.final[sample.done] - sample.final[sample.done].mean() for sample in samples]
    xy = sum(float(a @ b) for a, b in zip(x, y, strict=True))
    xx = sum(float(a @ a) for a in x)
    errors = []
    for a, b in zip(x, y, strict=True):
        lost = len(a) / (len(a) - 1)
        without = _ratio(xy - lost * a * b, xx - lost * a * a)
        errors.append(lost * (b - factor * without * a))
    return Line(samples, factor * float(_ratio(np.array(xy), np.array(xx))), errors)


def _ratio(over: Array, under: Array) -> Array:
    """Return a slope; 0 where early values do not differ."""
    return np.where(under > 1e-12, over / np.maximum(under, 1e-12), 0.0)
