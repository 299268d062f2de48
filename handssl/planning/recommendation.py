"""The cheapest design with enough power for a main effect of a given size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from handssl.errors import InputError
from handssl.planning.epochs import expected_epochs
from handssl.planning.planned_trials import PlannedStage, transformations_of
from handssl.planning.promise import Design, Power, SimulatedErrors, simulated_errors
from handssl.planning.recorded import recorded_correlation
from handssl.planning.variation import Variation
from handssl.scheduling.halving import Rules
from handssl.stats.power import POWER, t_power
from handssl.stats.seed_variance import SeedVariance
from handssl.study.study import Halving, Study

STUDIES, _MOST_BLOCKS, _BUDGET_S = 120, 16, 15.0
_CHI_SQUARE_ENDS = (0.025, 0.975)
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
    """

    design: Design
    grace_epochs: int
    cost: float
    power: Power
    learned: tuple[float, float]

    @property
    def settings(self) -> str:
        """Options of `study run` and `study plan` that choose the design."""
        own = self.design
        halving = f"halving.grace_epochs={self.grace_epochs}" if self.grace_epochs else "no halving"
        cells = {"grid": "all", "halving": "skeleton", "fraction": "fraction"}[own.kind]
        return f"{own.blocks} blocks, {cells} of {own.cells} cells, {halving}"


def recommended(
    study: Study,
    stages: Sequence[PlannedStage],
    effect_mm: float,
    variation: Variation,
    on_progress: OnProgress | None = None,
) -> tuple[Option, ...]:
    """Return the options for the stage of compositions of a study, see `options`.

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
    return tuple(
        options(
            transformations_of(own),
            effect_mm,
            variation.seeds,
            epochs=study.pretrain.epochs,
            grace_epochs=halving.grace_epochs,
            reduction_factor=halving.reduction_factor,
            on_progress=on_progress,
        )
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
    on_progress: OnProgress | None = None,
) -> list[Option]:
    """Return the cheapest design of each kind that has 80 % power, by cost.

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
        on_progress: Called with (designs done, total).
    """
    began_s, found = time.process_time(), list[Option]()
    rough = sorted(
        _candidates(len(names), epochs, grace_epochs, reduction_factor),
        key=lambda one: one[2] * _blocks_needed(one[0], len(names), effect_mm, variance),
    )
    for done, (design, grace, share) in enumerate(rough):
        blocks = _blocks_needed(design, len(names), effect_mm, variance)
        if time.process_time() - began_s < _BUDGET_S and blocks <= _MOST_BLOCKS:
            own = _enough(names, design, blocks, effect_mm, variance, studies)
            if own:
                made, errors = own
                power = errors.power(effect_mm)
                learned = _learned(errors, effect_mm, variance.freedom)
                found.append(Option(made, grace, share * made.blocks, power, learned))
        if on_progress:
            on_progress(done + 1, len(rough))
    return sorted(found, key=lambda one: one.cost)


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
                design = Design("halving", cells, 1, recorded_correlation(grace / epochs))
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
        own = Design(design.kind, design.cells, count, design.correlation)
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


def _learned(errors: SimulatedErrors, effect_mm: float, freedom: int) -> tuple[float, float]:
    """Return the power at both ends of the variance's 95 % interval, by chi-square."""
    from scipy import stats

    low, high = (
        math.sqrt(freedom / float(stats.chi2.ppf(1 - share, freedom))) for share in _CHI_SQUARE_ENDS
    )
    return errors.power(effect_mm, high).share, errors.power(effect_mm, low).share
