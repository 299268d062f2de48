"""Variances over seeds of the errors of compositions: of single cells and of main effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from handssl.stats.contrasts import Values, signs
from handssl.stats.skeleton import subsets

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SeedVariance:
    """Standard deviations in mm of the model y = block + main effects + interactions + noise.

    Attributes:
        noise_mm: Of a cell over blocks, about its mean and that of the block.
        effect_mm: Of a main effect over blocks, beyond what noise of the cells causes.
        main_mm: Of main effects over transformations.
        interaction_mm: Over cells, of the sum of interactions that are the same in all blocks.
        freedom: Degrees of freedom from which the variance of main effects over blocks is known.
    """

    noise_mm: float
    effect_mm: float
    main_mm: float
    interaction_mm: float
    freedom: int

    @property
    def paired_mm(self) -> float:
        """Standard deviation over blocks of the difference of two cells in mm."""
        return math.sqrt(2.0) * self.noise_mm

    def scaled(self, paired_mm: float) -> SeedVariance:
        """Return all variances in proportion to another standard deviation of differences."""
        factor = paired_mm / self.paired_mm
        return replace(
            self,
            noise_mm=factor * self.noise_mm,
            effect_mm=factor * self.effect_mm,
            main_mm=factor * self.main_mm,
            interaction_mm=factor * self.interaction_mm,
        )


def sign_columns(names: Sequence[str]) -> tuple[Array, Array]:
    """Return the signs of main effects (N, k), and of the interactions (N, N - k - 1).

    Rows are `subsets(names)`.

    Args:
        names: The transformations.
    """
    rows = subsets(names)
    main = np.stack([signs(rows, name) for name in sorted(names)], axis=1)
    higher = [np.prod(main[:, list(s)], axis=1) for s in subsets_of(len(names)) if len(s) > 1]
    return main, np.stack(higher, axis=1)


def subsets_of(k: int) -> list[tuple[int, ...]]:
    """Return the subsets of k numbers, by size.

    Example:
        >>> subsets_of(2)
        [(), (0,), (1,), (0, 1)]
    """
    ordered = sorted(range(2**k), key=lambda bits: (bits.bit_count(), bits))
    return [tuple(i for i in range(k) if bits >> i & 1) for bits in ordered]


def seed_variance(blocks: Sequence[Values]) -> SeedVariance:
    """Estimate the variances from complete runs of all compositions in two blocks or more.

    Over B blocks, contrasts (2 / N) sum of sign x value of interactions have the variance
    4 s^2 / N with s^2 that of the noise, and main effects that plus their own.

    Args:
        blocks: All 2^k values of each block in mm; k is at least 2.

    Raises:
        ValueError: There are fewer than two blocks.
    """
    if len(blocks) < 2:
        raise ValueError(f"expected two blocks or more, got {len(blocks)}")
    names = sorted({name for composition in blocks[0] for name in composition})
    values = np.array([[block[c] for c in subsets(names)] for block in blocks])
    main, higher = (2 * values @ part / values.shape[1] for part in sign_columns(names))
    noise = float(higher.var(axis=0, ddof=1).mean())  # 4 s^2 / N
    over_blocks = float(main.var(axis=0, ddof=1).mean())
    count = len(blocks)
    fixed = (higher.mean(axis=0) ** 2 - noise / count).sum() / 4
    fixed_main = float((main.mean(axis=0) ** 2).mean()) - over_blocks / count
    return SeedVariance(
        noise_mm=math.sqrt(noise * values.shape[1] / 4),
        effect_mm=math.sqrt(max(0.0, over_blocks - noise)),
        main_mm=math.sqrt(max(0.0, fixed_main)),
        interaction_mm=math.sqrt(max(0.0, float(fixed))),
        freedom=len(names) * (count - 1),
    )
