"""Power and winners of planned designs, by simulation through the estimators of the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from handssl.planning.recorded import recorded_correlation
from handssl.planning.winners import completed, regret, values_at_rungs
from handssl.randomness import numpy_generator
from handssl.scheduling.halving import Rules
from handssl.scheduling.skeletons import deal
from handssl.stats.contrasts import Effect, Values
from handssl.stats.difference import difference_effects
from handssl.stats.fraction import fraction_effects
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.seed_variance import SeedVariance, sign_columns
from handssl.stats.skeleton import subsets

Array = npt.NDArray[np.float64]
_CHI_SQUARE_ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Design:
    """A design of a stage of compositions.

    Attributes:
        kind: All compositions to the end, halving with a skeleton, or a fraction alone.
        cells: Size of the skeleton or fraction; of all compositions for `grid`.
        blocks: Number of blocks (seeds).
        correlation: Correlation of the values at the first rung with the last; for halving.
        rules: Rules of the halving; None: it is not simulated and has no regret.
    """

    kind: Literal["grid", "halving", "fraction"]
    cells: int
    blocks: int
    correlation: float = 0.0
    rules: Rules | None = None

    @property
    def correlations(self) -> tuple[float, ...]:
        """Correlations of the values at each rung with the last ones, the first as given."""
        if self.rules is None:
            return (self.correlation,)
        later = (epoch / self.rules.epochs for epoch in self.rules.rungs[1:])
        return (self.correlation, *map(recorded_correlation, later))


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
class Regret:
    """Mean over simulated studies of what the chosen composition is worse than the best.

    Attributes:
        mm: The mean in mm.
        low: Lower end of its 95 % Monte-Carlo interval in mm.
        high: Its upper end.
    """

    mm: float
    low: float
    high: float


@dataclass(frozen=True)
class SimulatedErrors:
    """Errors of estimated main effects in simulated studies.

    Attributes:
        low: Lower ends of the intervals for seeds in general, minus the true effects, in mm;
            (studies, transformations).
        high: Upper ends, likewise.
        regrets_mm: True error of the chosen composition minus that of the best, in mm; (studies,),
            NaN for a halving without rules.
    """

    low: Array
    high: Array
    regrets_mm: Array

    @property
    def regret(self) -> Regret:
        """The mean regret, for main effects and interactions with the given variances."""
        mm = float(self.regrets_mm.mean())
        half = 1.96 * float(self.regrets_mm.std(ddof=1)) / math.sqrt(len(self.regrets_mm))
        return Regret(mm, max(0.0, mm - half), mm + half)

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

    def learned(self, effect_mm: float, freedom: int) -> tuple[float, float]:
        """Return the power at both ends of the variance's 95 % interval, by chi-square.

        Args:
            effect_mm: The effect in mm.
            freedom: Degrees of freedom from which the variance is known.
        """
        from scipy import stats

        ends = (freedom / stats.chi2.ppf(_CHI_SQUARE_ENDS, freedom)) ** 0.5
        low, high = (self.power(effect_mm, float(scale)).share for scale in ends)
        return low, high


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
    columns, every = sign_columns(names), subsets(names)
    low, high, regrets = [], [], []
    for number in range(studies):
        draw = numpy_generator("promise", seed, number)
        effects = draw.normal(0, variance.main_mm, len(names))
        truth = _truth(columns, effects, variance, draw)
        blocks = list(_blocks(columns[0], truth, design.blocks, variance, draw))
        early = [values_at_rungs(one, design.correlations, draw) for one in blocks]
        last, first = (
            [dict(zip(every, own.tolist(), strict=True)) for own in values]
            for values in (blocks, [one[0] for one in early])
        )
        found = estimated(design, names, last, first, number)
        own = [found[name] for name in sorted(names)]
        low.append([e.seeds_low - true for e, true in zip(own, effects, strict=True)])
        high.append([e.seeds_high - true for e, true in zip(own, effects, strict=True)])
        regrets.append(_regret(names, design, truth, blocks, early, number))
    return SimulatedErrors(np.array(low), np.array(high), np.array(regrets))


def _truth(
    columns: tuple[Array, Array], effects: Array, variance: SeedVariance, draw: np.random.Generator
) -> Array:
    """Draw interactions, and return the errors of all compositions for seeds in general."""
    main, higher = columns
    each = variance.interaction_mm / math.sqrt(higher.shape[1])
    return main @ effects / 2 + higher @ draw.normal(0, each, higher.shape[1])


def _blocks(
    main: Array, truth: Array, count: int, variance: SeedVariance, draw: np.random.Generator
) -> Iterator[Array]:
    """Draw the last values of all compositions in each block."""
    for _ in range(count):
        own = draw.normal(0, variance.effect_mm, main.shape[1])
        yield truth + main @ own / 2 + draw.normal(0, variance.noise_mm, len(main))


def estimated(
    design: Design,
    names: Sequence[str],
    last: Sequence[Values],
    early: Sequence[Values],
    seed: int,
    *,
    pairs: bool = False,
) -> dict[str, Effect]:
    """Return the effects that the report would show of a study.

    Args:
        design: The design; its correlation and rules are not used.
        names: The transformations.
        last: Last values of each block in mm; absent or NaN where missing.
        early: Values of each block at the first rung; used for halving alone.
        seed: Seed of the stage, which deals its skeletons.
        pairs: Whether to include interactions of two.

    Raises:
        ValueError: The values do not determine the main effects.
    """
    if design.kind == "grid":
        return full_effects(last, pairs=pairs)
    samples = skeleton_samples(design, names, last, early, seed)
    if design.kind == "fraction":
        return fraction_effects([one.final for one in samples], pairs=pairs)
    return difference_effects(samples, pairs=pairs)


def skeleton_samples(
    design: Design,
    names: Sequence[str],
    last: Sequence[Values],
    early: Sequence[Values],
    seed: int,
) -> list[BlockSample]:
    """Return what each block of halving tells about effects, see `estimated`."""
    dealt = deal(names, design.cells, seed)
    return [
        BlockSample(
            {one: (mm,) for one, mm in start.items()},
            {one: own.get(one, math.nan) for one in sorted(dealt.of(position))},
        )
        for position, (own, start) in enumerate(zip(last, early, strict=True))
    ]


def _regret(
    names: Sequence[str],
    design: Design,
    truth: Array,
    blocks: Sequence[Array],
    early: Sequence[Sequence[Array]],
    number: int,
) -> float:
    """Return the regret of the composition that a study of the design would choose."""
    every = range(len(truth))
    if design.kind == "grid":
        return regret(truth, [dict(zip(every, one.tolist(), strict=True)) for one in blocks])
    dealt, order = deal(names, design.cells, number), subsets(names)
    kept = [{n for n in every if order[n] in dealt.of(i)} for i in range(len(blocks))]
    if design.kind == "halving":
        if design.rules is None:
            return math.nan
        rules = design.rules
        kept = [completed(e, own, rules) for e, own in zip(early, kept, strict=True)]
    seen = zip(blocks, kept, strict=True)
    return regret(truth, [{n: float(one[n]) for n in own} for one, own in seen])
