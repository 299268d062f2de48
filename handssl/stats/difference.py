"""Difference estimator: effects of a sweep with early stopping, with valid intervals.

A few compositions, the skeleton, always run to the end; all run to the first rung. A regression on
the skeleton imputes the last value of every composition from its early ones. The effect is the
contrast of the imputed values, over all compositions, plus the contrast of observed minus imputed
values, over the skeleton. The second part corrects errors of the regression: the skeleton is one of
the cosets that partition all compositions, and averaged over cosets its contrast is the contrast of
all. Imputation alone would have the errors of the regression.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from handssl.stats.contrasts import LEVEL, Composition, Effect, effect_names, signs

Array = npt.NDArray[np.float64]


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
    blocks: Sequence[BlockSample], *, pairs: bool = False, level: float = LEVEL
) -> dict[str, Effect]:
    """Return effects with intervals from the skeletons of several blocks.

    In block b, with n of N compositions in the skeleton S and m the regression:

        (2 / N) sum over all of s(c) m(c) + (2 / n) sum over S of s(c) (y(c) - m_c(c))

    where s is the sign of the effect and m_c the regression without c itself, so that its errors
    are out of sample. Their variance is 4 v (1 - n / N) / n with v the mean square of the errors;
    effects and variances are averaged over blocks. The interval is Student's, for the effect of all
    compositions in these blocks.

    Args:
        blocks: One or more blocks, each with its own skeleton.
        pairs: Whether to include interactions of two; those confounded by a skeleton cannot be
            separated.
        level: Confidence level of the intervals.

    Returns:
        Effects by name.

    Raises:
        ValueError: A skeleton is too small for its regression.

    Reference:
        C.-E. Saerndal, B. Swensson, J. Wretman, "Model Assisted Survey Sampling", 1992, chapter 6.
    """
    fits = [_Fit.of(block) for block in blocks]
    names = {name for one in blocks[0].early for name in one}
    return {name: _effect(name, fits, level) for name in effect_names(names, pairs=pairs)}


@dataclass(frozen=True)
class _Fit:
    """Regression of one block."""

    everything: list[Composition]
    chosen: list[Composition]
    imputed: Array
    errors: Array
    freedom: int

    @classmethod
    def of(cls, block: BlockSample) -> _Fit:
        everything, chosen = sorted(block.early), sorted(block.final)
        design = _design([block.early[one] for one in everything])
        rows = _design([block.early[one] for one in chosen])
        freedom = len(chosen) - rows.shape[1]
        if freedom < 2:
            raise ValueError(
                f"expected a skeleton of {rows.shape[1] + 2} compositions or more, got "
                f"{len(chosen)}"
            )
        wanted = np.array([block.final[one] for one in chosen])
        inverse = np.linalg.pinv(rows)
        coefficients = inverse @ wanted
        leverage = np.einsum("ij,ji->i", rows, inverse)
        # Leave-one-out errors: of each one under the fit without it.
        errors = (wanted - rows @ coefficients) / np.maximum(1e-9, 1 - leverage)
        return cls(everything, chosen, design @ coefficients, errors, freedom)

    def effect(self, name: str) -> float:
        """Return the contrast of the imputed values plus that of the errors."""
        imputed = 2.0 * np.mean(signs(self.everything, name) * self.imputed)
        return float(imputed + 2.0 * np.mean(signs(self.chosen, name) * self.errors))

    @property
    def variance(self) -> float:
        """The variance of an effect."""
        number, share = len(self.chosen), len(self.chosen) / len(self.everything)
        square = float(np.sum((self.errors - self.errors.mean()) ** 2)) / (number - 1)
        return 4 * square * (1 - share) / number


def _effect(name: str, fits: Sequence[_Fit], level: float) -> Effect:
    count = len(fits)
    mm = sum(fit.effect(name) for fit in fits) / count
    variances = [fit.variance / count**2 for fit in fits]
    total = sum(variances)
    weights = sum(v**2 / fit.freedom for v, fit in zip(variances, fits, strict=True))
    freedom = total**2 / weights if weights > 0 else math.inf
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(total)
    return Effect(name, mm, mm - half, mm + half, freedom)


def _design(early: Sequence[Sequence[float]]) -> Array:
    """Return a constant and the last early value; more columns would cost more than they gain."""
    return np.array([[1.0, values[-1]] for values in early])
