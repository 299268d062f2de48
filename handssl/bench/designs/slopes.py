"""Errors of effects by the difference estimator and its competitors, in every world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handssl.bench.designs.named import NamedDesign
from handssl.bench.designs.studies import Drawn, true_effects
from handssl.bench.designs.worlds import WORLDS, world
from handssl.bench.rates import OnProgress
from handssl.planning.promise import Design
from handssl.scheduling.simulation import Curves

SIZES = ((7, 16, 3, 1), (7, 16, 3, 3), (7, 32, 5, 3), (3, 4, 3, 1), (3, 4, 3, 3))
"""Transformations, cells of the skeleton, blocks, epoch of the first rung."""


@dataclass(frozen=True)
class SlopeRow:
    """Root mean square errors of main effects in these seeds.

    Attributes:
        named: Design and world.
        own_mm: Error of the report's estimator in mm.
        alone_mm: Error of the skeleton alone in mm.
        greg_mm: Error of the plain regression estimator with one slope over blocks in mm.
        ratio: The first over the better of the others.
        half: Half of the 95 % Monte-Carlo interval of the ratio, from 200 resamples of studies.
    """

    named: NamedDesign
    own_mm: float
    alone_mm: float
    greg_mm: float
    ratio: float
    half: float


def bench_slopes(
    curves: Curves | None,
    *,
    studies: int = 300,
    worlds: Sequence[str] = WORLDS,
    sizes: Sequence[tuple[int, int, int, int]] = SIZES,
    on_progress: OnProgress | None = None,
) -> list[SlopeRow]:
    """Measure the estimator and its competitors on the same drawn studies.

    Args:
        curves: Recorded curves of all compositions, for the world `as recorded`.
        studies: Number of studies of each row.
        worlds: Names of worlds.
        sizes: As `SIZES`.
        on_progress: Called with (rows done, total rows).
    """
    rows: list[SlopeRow] = []
    total = len(worlds) * len(sizes)
    for name in worlds:
        for k, cells, blocks, grace in sizes:
            design = Design("halving", cells, blocks)
            rows.append(_row(NamedDesign("slopes", design, k, name, grace), curves, studies))
            if on_progress:
                on_progress(len(rows), total)
    return rows


def _row(named: NamedDesign, curves: Curves | None, studies: int) -> SlopeRow:
    own = world(named.world, named.k, curves)
    squares = np.array([_squares(Drawn.of(named, own, number)) for number in range(studies)])
    errors = np.sqrt(np.nanmean(squares, axis=0))
    draw = np.random.default_rng(0)
    again = [squares[draw.integers(0, studies, studies)] for _ in range(200)]
    ratios = [_ratio(np.sqrt(np.nanmean(one, axis=0))) for one in again]
    own_mm, alone_mm, greg_mm = map(float, errors)
    half = 1.96 * float(np.std(ratios))
    return SlopeRow(named, own_mm, alone_mm, greg_mm, _ratio(errors), half)


def _ratio(errors: np.ndarray) -> float:
    return float(errors[0] / errors[1:].min())


def _squares(study: Drawn) -> list[float]:
    """Return the mean square errors of the estimator and both competitors; NaN without effects."""
    truth = true_effects(study.whole.mean(axis=0), study.world.names)
    try:
        found = [study.effects(), *study.competitors().values()]
    except ValueError:  # too few trials completed
        return [np.nan] * 3
    return [
        float(np.mean([(own[n].mm - truth[n]) ** 2 for n in study.world.names])) for own in found
    ]
