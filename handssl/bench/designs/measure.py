"""Measure the named designs: intervals, families of effects, winners and their errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from handssl.bench.designs.named import DESIGNS, NamedDesign
from handssl.bench.designs.promised import promised_power
from handssl.bench.designs.rows import GENERAL, HERE, Coverage, Families, Row, Share, Winners
from handssl.bench.designs.studies import Drawn, Winner, true_effects, winner
from handssl.bench.designs.worlds import World, world
from handssl.bench.rates import OnProgress
from handssl.planning.promise import SimulatedErrors
from handssl.scheduling.simulation import Curves
from handssl.stats.contrasts import Effect

Array = npt.NDArray[np.float64]
REPORT, ALPHA = "report", 0.05


def bench_designs(
    curves: Curves | None,
    *,
    studies: int = 300,
    pilots: int = 40,
    designs: Sequence[NamedDesign] = DESIGNS,
    on_progress: OnProgress | None = None,
) -> list[Row]:
    """Draw studies of every named design and count what the product says of them.

    Args:
        curves: Recorded curves of all compositions, for the world `as recorded`.
        studies: Number of studies of each design.
        pilots: Number of pilots of three blocks from which power is promised.
        designs: The designs.
        on_progress: Called with (studies and pilots done, total).
    """
    done, total = 0, len(designs) * (studies + pilots)

    def step() -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, total)

    return [_row(one, world(one.world, one.k, curves), studies, pilots, step) for one in designs]


@dataclass
class _Counts:
    """What is kept of the studies of a design."""

    effects: dict[str, list[list[Effect]]] = field(default_factory=dict)
    here: list[list[float]] = field(default_factory=list)
    null: list[tuple[float, ...]] = field(default_factory=list)
    winners: list[Winner] = field(default_factory=list)
    lost: int = 0

    def add(self, study: Drawn, empty: Drawn) -> None:
        """Add a study, and its twin without main effects and pairs."""
        self.winners.append(winner(study))
        try:
            found = {REPORT: study.effects()} | study.competitors()
            null = _family_errors(empty.effects(pairs=True).values())
        except ValueError:  # too few trials completed
            self.lost += 1
            return
        truth = true_effects(study.whole.mean(axis=0), study.world.names)
        names = study.world.names
        self.here.append([truth[name] for name in names])
        self.null.append(null)
        for estimator, effects in found.items():
            own = self.effects.setdefault(estimator, [])
            own.append([effects[name] for name in names])


def _row(
    named: NamedDesign, own: World, studies: int, pilots: int, step: Callable[[], None]
) -> Row:
    counts, empty = _Counts(), own.without_low_orders()
    for number in range(studies):
        counts.add(Drawn.of(named, own, number), Drawn.of(named, empty, number))
        step()
    truth = np.array([true_effects(own.truth, own.names)[name] for name in own.names])
    power = promised_power(
        named, own, _errors(counts, truth), studies=studies, pilots=pilots, step=step
    )
    families = Families(*(Share.of(one) for one in zip(*counts.null, strict=True)))
    return Row(
        named,
        studies,
        counts.lost,
        _coverage(counts, truth),
        families,
        _winners(counts.winners),
        _rms(counts),
        power,
    )


def _family_errors(effects: Iterable[Effect]) -> tuple[float, ...]:
    """Return whether a family of effects that are 0 has an error: with Holm, without; by order."""
    families = [
        [one for one in effects if one.order == order and not math.isnan(one.p)] for order in (1, 2)
    ]
    return tuple(
        float(min((getattr(one, name) for one in family), default=1.0) < ALPHA)
        for name in ("holm", "p")
        for family in families
    )


def _errors(counts: _Counts, truth: Array) -> SimulatedErrors:
    ends = [[(e.seeds_low, e.seeds_high) for e in one] for one in counts.effects[REPORT]]
    low, high = np.moveaxis(np.array(ends), -1, 0)
    regrets = np.array([one.regret_mm for one in counts.winners])
    return SimulatedErrors(low - truth, high - truth, regrets)


def _coverage(counts: _Counts, truth: Array) -> tuple[Coverage, ...]:
    """Return the coverage of every estimator and reading that has an interval."""
    found = []
    for estimator, effects in counts.effects.items():
        here = np.array([[(e.low, e.high) for e in one] for one in effects])
        general = np.array([[(e.seeds_low, e.seeds_high) for e in one] for one in effects])
        for reading, ends, true in ((HERE, here, np.array(counts.here)), (GENERAL, general, truth)):
            width = ends[..., 1] - ends[..., 0]
            if reading == HERE and not width.mean() > 1e-6:
                continue  # exact: every cell is observed
            held = (ends[..., 0] - 1e-9 <= true) & (true <= ends[..., 1] + 1e-9)
            mean, worst = Share.of(held.mean(axis=1)), float(held.mean(axis=0).min())
            found.append(Coverage(estimator, reading, mean, worst, float(np.median(width))))
    return tuple(found)


def _rms(counts: _Counts) -> dict[str, float]:
    here = np.array(counts.here)
    return {
        estimator: float(np.sqrt(np.mean((np.array([[e.mm for e in o] for o in own]) - here) ** 2)))
        for estimator, own in counts.effects.items()
    }


def _winners(found: Sequence[Winner]) -> Winners:
    return Winners(
        near=Share.of([one.near for one in found if one.near is not None]),
        is_best=Share.of([one.is_best for one in found]),
        stopped=Share.of([one.stopped for one in found]),
        size=float(np.median([one.size for one in found if one.near is not None] or [math.nan])),
        compared=float(np.median([one.compared for one in found])),
        regret_mm=Share.of([one.regret_mm for one in found]),
        confirmed_mm=Share.of([one.confirmed_mm for one in found]),
        selected_mm=Share.of([one.selected_mm for one in found]),
    )
