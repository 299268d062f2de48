"""Power that the plan promises of a named design, beside the power of its drawn studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from handssl.bench.designs.named import NamedDesign
from handssl.bench.designs.worlds import EPOCHS, World
from handssl.planning.promise import Design, Power, SimulatedErrors, simulated_errors
from handssl.planning.recommendation import STUDIES
from handssl.randomness import numpy_generator
from handssl.stats.seed_variance import SeedVariance, seed_variance

AIM = 0.7
PILOT_BLOCKS = 3


@dataclass(frozen=True)
class PromisedPower:
    """Promised and simulated power for a main effect.

    Attributes:
        effect_mm: The effect in mm, for which about 70 % is promised.
        given: Promised from the true variances.
        simulated: Power of the drawn studies.
        held: Share of pilots whose interval of the promise contains the power of the drawn studies.
        width: Median width of that interval.
        pilots: Number of pilots.
    """

    effect_mm: float
    given: Power
    simulated: Power
    held: float
    width: float
    pilots: int


def promised_power(
    named: NamedDesign,
    world: World,
    drawn: SimulatedErrors,
    *,
    studies: int,
    pilots: int,
    step: Callable[[], None],
) -> PromisedPower:
    """Compare the promise with drawn studies.

    Args:
        named: The design.
        world: Its world.
        drawn: Errors of the intervals of the drawn studies.
        studies: Simulated studies of the promise from true variances.
        pilots: Number of pilots of whole grids in three blocks.
        step: Called after each pilot.
    """
    design = with_correlation(named, world)
    given = simulated_errors(world.names, design, world.variance, studies=studies, seed=1)
    effect_mm = effect_of_power(given, AIM)
    truth = drawn.power(effect_mm)
    ends = []
    for number in range(pilots):
        found = pilot(named, world, number)
        errors = simulated_errors(world.names, design, found, studies=STUDIES, seed=number + 2)
        ends.append(errors.learned(effect_mm, found.freedom))
        step()
    low, high = np.array(ends or [(np.nan, np.nan)]).T
    held = np.mean((low <= truth.share) & (truth.share <= high))
    return PromisedPower(
        effect_mm,
        given.power(effect_mm),
        truth,
        float(held) if pilots else float("nan"),
        float(np.median(high - low)),
        pilots,
    )


def with_correlation(named: NamedDesign, world: World) -> Design:
    """Return a design with the correlation of its world at the first rung."""
    grace = named.grace_epochs
    return replace(named.design, correlation=world.starts[grace - 1]) if grace else named.design


def effect_of_power(errors: SimulatedErrors, share: float) -> float:
    """Return the effect in mm that a simulation detects with a power, by bisection."""
    low, high = 0.0, 1.0
    while errors.power(high).share < share:
        high *= 2
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if errors.power(middle).share >= share else (middle, high)
    return high


def pilot(named: NamedDesign, world: World, number: int) -> SeedVariance:
    """Return the variances that whole grids in three blocks of a world give."""
    draw = numpy_generator("designs", "pilot", named.name, number)
    grids = [
        dict(zip(world.cells, world.block(draw)[:, EPOCHS - 1].tolist(), strict=True))
        for _ in range(PILOT_BLOCKS)
    ]
    return seed_variance(grids)
