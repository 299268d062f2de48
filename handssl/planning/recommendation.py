"""The cheapest design for effects of a given size, and the one for the best composition."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from handssl.errors import InputError
from handssl.planning.epochs import expected_epochs
from handssl.planning.planned_trials import PlannedStage, transformations_of
from handssl.planning.promise import (
    Design,
    Power,
    Regret,
    SimulatedErrors,
    simulated_errors,
)
from handssl.planning.recorded import recorded_correlation
from handssl.planning.variation import Variation
from handssl.scheduling.halving import Rules
from handssl.stats.power import POWER, t_power
from handssl.stats.seed_variance import SeedVariance
from handssl.study.study import Halving, Study

STUDIES, BUDGET_S, _MOST_BLOCKS = 120, 15.0, 16
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Option:
    """A design with its cost and power.

    Attributes:
        design: The design.
        grace_epochs: Epoch of the first rung; 0 without halving.
        cost: Epochs of the stage, as a share of all compositions to the end in one block.
        power: Simulated power.
        learned: 95 % interval of the power if variances are only as certain as they were measured.
        regret: What the chosen composition is worse than the best one, on average.
    """

    design: Design
    grace_epochs: int
    cost: float
    power: Power
    learned: tuple[float, float]
    regret: Regret

    @property
    def settings(self) -> str:
        """Options of `study run` and `study plan` that choose the design."""
        return f"{self.design.blocks} blocks, {_settings(self.design, self.grace_epochs)}"


@dataclass(frozen=True)
class Untried:
    """A design that was not simulated, or has too little power.

    Attributes:
        settings: Its options, without the number of blocks.
        cost: Estimated cost as a share of all compositions in one block; NaN if it would need too
            many blocks.
        why: `time` if the time for the search was over, `blocks` if 16 blocks are not enough.
    """

    settings: str
    cost: float
    why: Literal["time", "blocks"]


@dataclass(frozen=True)
class Designs:
    """Result of the search for a design.

    Attributes:
        options: The cheapest design of each kind with 80 % power, by cost.
        untried: The others, by estimated cost.
    """

    options: tuple[Option, ...] = ()
    untried: tuple[Untried, ...] = ()

    @property
    def for_effects(self) -> Option | None:
        """The cheapest option."""
        return self.options[0] if self.options else None

    @property
    def for_winner(self) -> Option | None:
        """The cheapest of the options whose regret cannot be told from the least one."""
        known = [one for one in self.options if not math.isnan(one.regret.mm)]
        least = min(known, key=lambda one: one.regret.mm, default=None)
        close = [one for one in known if least and not _differ(one.regret, least.regret)]
        return close[0] if close else None


def _differ(one: Regret, other: Regret) -> bool:
    """Return whether the 95 % Monte-Carlo interval of a difference excludes 0."""
    error = math.hypot(one.high - one.mm, other.high - other.mm)
    return abs(one.mm - other.mm) > error


def _settings(design: Design, grace_epochs: int) -> str:
    halving = f"halving.grace_epochs={grace_epochs}" if grace_epochs else "no halving"
    cells = {"grid": "all", "halving": "skeleton", "fraction": "fraction"}[design.kind]
    return f"{cells} of {design.cells} cells, {halving}"


def recommended(
    study: Study,
    stages: Sequence[PlannedStage],
    effect_mm: float,
    variation: Variation,
    on_progress: OnProgress | None = None,
) -> Designs:
    """Return the designs for the stage of compositions of a study, see `options`.

    Args:
        study: The study.
        stages: Its planned stages.
        effect_mm: Main effect to detect in mm.
        variation: Variation over seeds.
        on_progress: Called with (designs done, total).

    Raises:
        InputError: The study has no stage of compositions.
    """
    own = next((one for one in stages if one.stage.kind == "compositions"), None)
    if own is None:
        raise InputError(
            "--effect-mm: expected a study with a stage of kind compositions, got "
            f"{', '.join(one.stage.kind for one in stages)}; leave the option out"
        )
    halving = study.halving or Halving()
    return options(
        transformations_of(own),
        effect_mm,
        variation.seeds,
        epochs=study.pretrain.epochs,
        grace_epochs=halving.grace_epochs,
        reduction_factor=halving.reduction_factor,
        on_progress=on_progress,
    )


def options(
    names: Sequence[str],
    effect_mm: float,
    variance: SeedVariance,
    *,
    epochs: int,
    grace_epochs: int,
    reduction_factor: float,
    studies: int = STUDIES,
    budget_s: float = BUDGET_S,
    on_progress: OnProgress | None = None,
) -> Designs:
    """Return the cheapest design of each kind that has 80 % power, by cost.

    The cheapest by the estimate is simulated first; once the time is over, the rest is named.

    Number of blocks: the least with which the simulation has the power, found from an estimate by
    the t distribution.

    Args:
        names: The transformations.
        effect_mm: Main effect to detect in mm.
        variance: Variances over seeds.
        epochs: Epochs of a whole trial.
        grace_epochs: Epoch of the study's first rung; a rung at a third is tried too.
        reduction_factor: Reduction factor of the halving.
        studies: Simulated studies of each design.
        budget_s: Seconds of processor time after which no further design is simulated.
        on_progress: Called with (designs done, total).
    """
    began_s, found, untried = time.process_time(), list[Option](), list[Untried]()
    candidates = [
        (design, grace, share, _blocks_needed(design, len(names), effect_mm, variance))
        for design, grace, share in _candidates(len(names), epochs, grace_epochs, reduction_factor)
    ]
    candidates.sort(key=lambda one: one[2] * one[3])
    for done, (design, grace, share, blocks) in enumerate(candidates, start=1):
        settings, cost = _settings(design, grace), share * blocks
        if blocks <= _MOST_BLOCKS and time.process_time() - began_s >= budget_s:
            untried.append(Untried(settings, cost, "time"))
        elif own := _enough(names, design, blocks, effect_mm, variance, studies):
            made, errors = own
            power, learned = errors.power(effect_mm), errors.learned(effect_mm, variance.freedom)
            cost = share * made.blocks
            found.append(Option(made, grace, cost, power, learned, errors.regret))
        else:
            untried.append(Untried(settings, math.nan, "blocks"))
        if on_progress:
            on_progress(done, len(candidates))
    return Designs(tuple(sorted(found, key=lambda one: one.cost)), tuple(untried))


def blocks_for_paired(effect_mm: float, sd_mm: float) -> int:
    """Return the blocks with which a paired t-test of two cells has 80 % power.

    Args:
        effect_mm: Difference of the cells in mm.
        sd_mm: Standard deviation of paired differences in mm.

    Example:
        >>> blocks_for_paired(1.0, 1.0)
        10
    """
    blocks = 2
    while t_power(effect_mm / sd_mm * math.sqrt(blocks), blocks - 1) < POWER:
        blocks += 1
    return blocks


def _candidates(
    k: int, epochs: int, grace_epochs: int, factor: float
) -> Iterator[tuple[Design, int, float]]:
    """Return designs with one block, their first rung, and the cost of a block."""
    whole = 2**k
    yield Design("grid", whole, 1), 0, 1.0
    for cells in (8, 16, 32, 64):
        if k < cells < whole:
            yield Design("fraction", cells, 1), 0, cells / whole
            for grace in sorted({grace_epochs, max(1, round(epochs / 3))}):
                rules = Rules(epochs, grace, factor)
                trained = cells * epochs + expected_epochs(whole - cells, rules)
                early = recorded_correlation(grace / epochs)
                design = Design("halving", cells, 1, early, rules)
                yield design, grace, trained / (whole * epochs)


def _blocks_needed(design: Design, k: int, effect_mm: float, variance: SeedVariance) -> int:
    """Return the blocks that a t-test over the estimates of blocks would need."""
    whole = 2**k
    rest = variance.noise_mm**2 + variance.interaction_mm**2
    rest *= 1 - design.correlation**2
    block = variance.effect_mm**2 + 4 * variance.noise_mm**2 / whole
    block += 4 * rest * (1 - design.cells / whole) / design.cells
    for blocks in range(2, _MOST_BLOCKS + 1):
        if t_power(effect_mm / math.sqrt(block / blocks), blocks - 1) >= POWER:
            return blocks
    return _MOST_BLOCKS + 1


def _enough(
    names: Sequence[str],
    design: Design,
    blocks: int,
    effect_mm: float,
    variance: SeedVariance,
    studies: int,
) -> tuple[Design, SimulatedErrors] | None:
    """Return the design with the least blocks whose simulation has the power."""

    def simulated(count: int) -> tuple[Design, SimulatedErrors]:
        own = replace(design, blocks=count)
        return own, simulated_errors(names, own, variance, studies=studies)

    best, rising = None, False
    while 2 <= blocks <= _MOST_BLOCKS:
        tried = simulated(blocks)
        enough = tried[1].power(effect_mm).share >= POWER
        if not enough and best:
            break
        best = tried if enough else None
        rising = rising or not enough
        if enough and rising:
            break
        blocks += 1 if rising else -1
    return best
