"""One drawn study of a named design, assigned and estimated as the product does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from handssl.bench.designs.named import NamedDesign
from handssl.bench.designs.worlds import Array, World, sign_column
from handssl.planning.promise import estimated, skeleton_samples
from handssl.randomness import numpy_generator
from handssl.scheduling.halving import Arm
from handssl.scheduling.simulation import simulate
from handssl.scheduling.skeletons import deal
from handssl.stats.best_set import best_set
from handssl.stats.cell_means import adjusted_means, connected_sets
from handssl.stats.contrasts import Effect, Values
from handssl.stats.difference import difference_effects
from handssl.stats.full_grid import full_effects

FRESH_SEEDS = 3
ALPHA = 0.05


@dataclass(frozen=True)
class Drawn:
    """A drawn study.

    Attributes:
        named: Its design.
        world: What it was drawn from.
        whole: Last values that complete runs of all cells have in each block in mm, (blocks, 2^k).
        curves: Curves of all cells in each block in mm, (blocks, 2^k, epochs); NaN after a failure.
        seed: Seed that deals its skeletons.
    """

    named: NamedDesign
    world: World
    whole: Array
    curves: Array
    seed: int

    @classmethod
    def of(cls, named: NamedDesign, world: World, number: int) -> Drawn:
        """Draw a study; the same number gives the same seeds in every world."""
        draw = numpy_generator("designs", named.name, number)
        curves = np.array([world.block(draw) for _ in range(named.design.blocks)])
        return cls(named, world, curves[..., -1], world.observed(curves, draw), number)

    def by_cell(self, epoch: int) -> list[Values]:
        """Return the values of each block after an epoch by composition."""
        values = self.curves[:, :, epoch - 1].tolist()
        return [dict(zip(self.world.cells, own, strict=True)) for own in values]

    @property
    def last(self) -> list[Values]:
        """Last values of each block."""
        return self.by_cell(self.curves.shape[-1])

    @property
    def early(self) -> list[Values]:
        """Values of each block at the first rung."""
        return self.by_cell(self.named.grace_epochs or 1)

    def effects(self, *, pairs: bool = False) -> dict[str, Effect]:
        """Return the effects that the report would show."""
        own = self.named.design
        return estimated(own, self.world.names, self.last, self.early, self.seed, pairs=pairs)

    def competitors(self) -> dict[str, dict[str, Effect]]:
        """Return the main effects by trivial estimators: none for a fraction, which is one."""
        own = self.named.design
        if own.kind == "grid":
            return {"own variances": full_effects(self.last, moderated=False)}
        if own.kind == "fraction":
            return {}
        samples = skeleton_samples(own, self.world.names, self.last, self.early, self.seed)
        ways = (("skeleton alone", 0.0), ("GREG", 1.0))
        return {name: difference_effects(samples, slope=slope) for name, slope in ways}


def true_effects(values: Array, names: Sequence[str]) -> dict[str, float]:
    """Return the true main effects and pairs of a grid in mm, by name as in reports."""
    k = len(names)
    return {
        ":".join(sorted(names[i] for i in members)): float(
            2 * np.mean(sign_column(members, k) * values)
        )
        for order in (1, 2)
        for members in combinations(range(k), order)
    }


@dataclass(frozen=True)
class Winner:
    """The winner of a study and what is reported of it.

    Attributes:
        is_best: Whether it is the best of all cells.
        regret_mm: Its true mean minus that of the best cell.
        selected_mm: Mean with which it was selected minus its true mean.
        confirmed_mm: Mean over fresh seeds minus its true mean; NaN if one of them failed.
        stopped: Whether the best cell of all is not among those that are compared.
        near: Whether the set of winners has the best of the cells compared; None without a set.
        size: Number of cells in the set, NaN without one.
        compared: Number of cells compared.
    """

    is_best: bool
    regret_mm: float
    selected_mm: float
    confirmed_mm: float
    stopped: bool
    near: bool | None
    size: float
    compared: int


def winner(study: Drawn) -> Winner:
    """Return the winner, its set and its error on fresh seeds, by the functions of stages."""
    values, truth = completed(study), study.world.truth.tolist()
    means, found = adjusted_means(values), best_set(values)
    pick = min(sorted(means), key=lambda one: means[one])
    compared = connected_sets(values)[0]
    best = min(range(len(truth)), key=lambda i: truth[i])
    able = min(sorted(map(int, compared)), key=lambda i: truth[i])
    mine = truth[int(pick)]
    return Winner(
        mine <= truth[best],
        mine - truth[best],
        means[pick] - mine,
        _fresh(study, int(pick)) - mine,
        truth[able] > truth[best],
        None if found is None else str(able) in found.cells,
        len(found.cells) if found else math.nan,
        len(compared),
    )


def _fresh(study: Drawn, cell: int) -> float:
    """Return the mean error of a cell over fresh seeds, as stage `confirmation` reports it."""
    draw = numpy_generator("designs", "fresh", study.named.name, study.seed)
    curves = np.array([study.world.block(draw)[cell] for _ in range(FRESH_SEEDS)])
    return float(np.mean(study.world.observed(curves, draw)[:, -1]))


def completed(study: Drawn) -> Mapping[str, Mapping[int, float]]:
    """Return the last values of completed trials in mm, by number of the cell and block."""
    found: dict[str, dict[int, float]] = {}
    for block, curves in enumerate(study.curves):
        for cell in _survivors(study, block):
            if math.isfinite(mm := float(curves[cell, -1])):
                found.setdefault(str(cell), {})[block] = mm
    return found


def _survivors(study: Drawn, block: int) -> Sequence[int]:
    """Return the numbers of the cells that train to the end in a block."""
    named, names = study.named, study.world.names
    size, whole = 2**named.k, study.curves.shape[-1]
    if named.design.kind == "grid":
        return range(size)
    dealt = deal(names, named.design.cells, study.seed).of(block)
    chosen = [number for number, cell in enumerate(study.world.cells) if cell in dealt]
    if named.rules is None:
        return chosen
    arms = [Arm(str(number), block, number in chosen) for number in range(size)]
    curves = dict(zip(map(str, range(size)), study.curves[block].tolist(), strict=True))
    trained = simulate(arms, named.rules, curves).trained
    return [number for number in range(size) if trained[str(number)] == whole]
