"""Power of planned designs, by simulation through the estimators of the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from handssl.randomness import numpy_generator
from handssl.scheduling.skeletons import deal
from handssl.stats.contrasts import Composition, Effect
from handssl.stats.difference import difference_effects
from handssl.stats.fraction import fraction_effects
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.seed_variance import SeedVariance, sign_columns
from handssl.stats.skeleton import subsets

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """A design of a stage of compositions.

    Attributes:
        kind: All compositions to the end, halving with a skeleton, or a fraction alone.
        cells: Size of the skeleton or fraction; of all compositions for `grid`.
        blocks: Number of blocks (seeds).
        correlation: Correlation of the values at the first rung with the last; for halving.
    """

    kind: Literal["grid", "halving", "fraction"]
    cells: int
    blocks: int
    correlation: float = 0.0


@dataclass(frozen=True)
class Power:
    """Share of simulated studies whose interval for seeds in general excludes 0.

    Attributes:
        share: The share, 0 to 1.
        low: Lower end of its 95 % Monte-Carlo interval.
        high: Its upper end.
    """

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class SimulatedErrors:
    """Errors of estimated main effects in simulated studies.

    Attributes:
        low: Lower ends of the intervals for seeds in general, minus the true effects, in mm;
            (studies, transformations).
        high: Upper ends, likewise.
    """

    low: Array
    high: Array

    def power(self, effect_mm: float, scale: float = 1.0) -> Power:
        """Return the power for a main effect.

        An effect that is added to all cells with a transformation shifts its estimate and its
        interval, so one simulation gives the power for any effect.

        Args:
            effect_mm: The effect in mm.
            scale: Factor on all standard deviations.
        """
        found = (scale * self.low + effect_mm > 0) | (scale * self.high + effect_mm < 0)
        each = found.mean(axis=1)  # effects of one study share its variances
        half = 1.96 * float(each.std(ddof=1)) / math.sqrt(len(each))
        share = float(each.mean())
        return Power(share, max(0.0, share - half), min(1.0, share + half))


def simulated_errors(
    names: Sequence[str],
    design: Design,
    variance: SeedVariance,
    *,
    studies: int,
    seed: int = 0,
) -> SimulatedErrors:
    """Simulate studies of a design, each with its own deal, and estimate as the report does.

    Args:
        names: The transformations.
        design: The design; at least two blocks.
        variance: The variances; effects and interactions are drawn anew for each study.
        studies: Number of simulated studies.
        seed: Seed of all draws.
    """
    columns = sign_columns(names)
    low, high = [], []
    for number in range(studies):
        draw = numpy_generator("promise", seed, number)
        effects = draw.normal(0, variance.main_mm, len(names))
        blocks = list(_blocks(columns, effects, design.blocks, variance, draw))
        found = _estimated(names, design, blocks, draw, number)
        own = [found[name] for name in sorted(names)]
        low.append([e.seeds_low - true for e, true in zip(own, effects, strict=True)])
        high.append([e.seeds_high - true for e, true in zip(own, effects, strict=True)])
    return SimulatedErrors(np.array(low), np.array(high))


def _blocks(
    columns: tuple[Array, Array],
    effects: Array,
    count: int,
    variance: SeedVariance,
    draw: np.random.Generator,
) -> Iterator[Array]:
    """Draw the last values of all compositions in each block."""
    main, higher = columns
    each = variance.interaction_mm / math.sqrt(higher.shape[1])
    fixed = higher @ draw.normal(0, each, higher.shape[1])
    for _ in range(count):
        own = effects + draw.normal(0, variance.effect_mm, len(effects))
        yield main @ own / 2 + fixed + draw.normal(0, variance.noise_mm, len(main))


def _estimated(
    names: Sequence[str],
    design: Design,
    blocks: Sequence[Array],
    draw: np.random.Generator,
    number: int,
) -> dict[str, Effect]:
    """Return the effects that the report would show."""
    every = subsets(names)
    last = [dict(zip(every, one.tolist(), strict=True)) for one in blocks]
    if design.kind == "grid":
        return full_effects(last)
    dealt = deal(names, design.cells, number)
    chosen = [{c: own[c] for c in sorted(dealt.of(i))} for i, own in enumerate(last)]
    if design.kind == "fraction":
        return fraction_effects(chosen)
    early = [_early(every, one, design.correlation, draw) for one in blocks]
    return difference_effects([BlockSample(*pair) for pair in zip(early, chosen, strict=True)])


def _early(
    every: Sequence[Composition], last: Array, correlation: float, draw: np.random.Generator
) -> dict[Composition, tuple[float]]:
    """Draw early values with a correlation with the last ones."""
    scaled = (last - last.mean()) / last.std()
    rest = draw.normal(0, math.sqrt(1 - correlation**2), len(last))
    values = correlation * scaled + rest
    return {c: (float(mm),) for c, mm in zip(every, values, strict=True)}
