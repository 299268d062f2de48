"""Benchmark of intervals for seeds in general and of families of effects, on drawn full grids."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress
from handssl.randomness import numpy_generator
from handssl.stats.contrasts import Effect, Values
from handssl.stats.full_grid import full_effects
from handssl.stats.skeleton import subsets

Array = npt.NDArray[np.float64]
_RECORDED = (0.18, 0.65, 0.87, 0.27, 0.36, 0.79, 0.21)
"""Standard deviation over seeds of each recorded main effect, mm, with noise of 2.6 mm a cell."""


@dataclass(frozen=True)
class World:
    """How grids without main effects are drawn.

    Attributes:
        name: Name in the table.
        spread: Standard deviation over seeds of an effect over that of noise alone, for each of
            the first transformations; 0 for the others.
        tails: Degrees of freedom of the noise's t distribution, 0 for normal noise.
        missing: Share of cells without a value.
    """

    name: str
    spread: tuple[float, ...] = ()
    tails: float = 0.0
    missing: float = 0.0


WORLDS = (
    World("noise of cells alone"),
    World("as recorded", tuple(mm / 0.46 for mm in _RECORDED)),
    World("one effect with ten times the variance", (3.0,)),
    World("heavy tails (t with 3)", tails=3.0),
    World("2 % of cells missing", missing=0.02),
)
MODERATED = "moderated t"
NAMES = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")


@dataclass(frozen=True)
class IntervalRow:
    """Results of one design over all drawn studies, without main effects.

    Attributes:
        world: Name of the world.
        k: Number of transformations.
        blocks: Number of blocks.
        estimator: `moderated t` or `plain t`.
        coverage: Share of intervals for seeds in general that contain 0.
        coverage_range: Its 95 % Monte-Carlo interval, from the spread over studies.
        worst: The same share of the effect that is covered least.
        width_mm: Median width in units of the standard deviation of a cell's noise.
        wrong: Share of studies in which the interval of an effect excludes 0.
        wrong_holm: Likewise with Holm's p-values of the estimator; reports use those of plain t.
        wrong_together: Share of studies in which a simultaneous interval excludes 0.
        error: Half of the 95 % Monte-Carlo interval of the last two shares.
    """

    world: str
    k: int
    blocks: int
    estimator: str
    coverage: float
    coverage_range: tuple[float, float]
    worst: float
    width_mm: float
    wrong: float
    wrong_holm: float
    wrong_together: float
    error: float


def bench_intervals(
    *,
    studies: int = 300,
    sizes: tuple[int, ...] = (3, 7),
    blocks: tuple[int, ...] = (2, 3, 5),
    on_progress: OnProgress | None = None,
) -> list[IntervalRow]:
    """Draw grids without main effects and count what intervals and p-values say of them.

    Args:
        studies: Number of studies of each design.
        sizes: Numbers of transformations.
        blocks: Numbers of blocks.
        on_progress: Called with (designs done, total designs).
    """
    rows: list[IntervalRow] = []
    designs = list(product(WORLDS, sizes, blocks))
    for done, (world, k, count) in enumerate(designs, start=1):
        drawn = [list(_grid(world, k, count, number)) for number in range(studies)]
        for name, moderated in ((MODERATED, True), ("plain t", False)):
            found = [[*full_effects(one, moderated=moderated).values()] for one in drawn]
            rows.append(_row(world, k, count, name, found))
        if on_progress:
            on_progress(done, len(designs))
    return rows


def _grid(world: World, k: int, blocks: int, number: int) -> Iterator[Values]:
    draw = numpy_generator("intervals", k, blocks, number)
    cells = [tuple(sorted(one)) for one in subsets(NAMES[:k])]
    on = np.array([[name in cell for name in NAMES[:k]] for cell in cells], dtype=float)
    spread = np.zeros(k)
    spread[: len(world.spread)] = world.spread[:k]
    for _ in range(blocks):
        own = draw.normal(0, 1, k) * spread * 2 / math.sqrt(len(cells))
        noise = draw.standard_t(world.tails, len(cells)) if world.tails else draw.normal(size=2**k)
        mm = 80 + on @ own + noise
        kept = draw.random(len(cells)) >= world.missing
        yield {cell: float(y) for cell, y, keep in zip(cells, mm, kept, strict=True) if keep}


def _row(world: World, k: int, blocks: int, name: str, found: list[list[Effect]]) -> IntervalRow:
    held = np.array([[e.seeds_low <= 0 <= e.seeds_high for e in one] for one in found])
    each = held.mean(axis=1)
    half = 1.96 * float(each.std(ddof=1)) / math.sqrt(len(each))
    together = np.mean([any(not e.together[0] <= 0 <= e.together[1] for e in o) for o in found])
    adjusted = [[e.holm_moderated if name == MODERATED else e.holm for e in one] for one in found]
    holm = np.mean([min(one) < 0.05 for one in adjusted])
    worse = max(float(holm), float(together), 1 / len(found))
    return IntervalRow(
        world.name,
        k,
        blocks,
        name,
        float(each.mean()),
        (float(each.mean()) - half, min(float(each.mean()) + half, 1.0)),
        float(held.mean(axis=0).min()),
        float(np.median([e.seeds_high - e.seeds_low for one in found for e in one])),
        float(np.mean(~held.all(axis=1))),
        float(holm),
        float(together),
        1.96 * math.sqrt(worse * (1 - worse) / len(found)),
    )


def text(rows: list[IntervalRow], studies: int) -> str:
    """Return the results as a Markdown page.

    Args:
        rows: Results.
        studies: Number of studies of each design.
    """
    lines = [
        "# Intervals for seeds in general, and families of effects, on full grids",
        "",
        f"{describe()}.",
        "",
        f"{studies} drawn studies of each design. {_MEANING}",
        "",
        *_HEAD,
        *map(_line, rows),
    ]
    return "\n".join([*lines, ""])


_MEANING = (
    "Noise of 1 mm a cell, no main effects; effects vary over seeds as the world says. Reports "
    "have the intervals of the moderated t, and Holm's p-values and simultaneous intervals of the "
    "plain t. Coverage with its 95 % Monte-Carlo interval from the spread over studies; shares of "
    "studies with an error in the family of main effects, the last two +- half of a 95 % "
    "Monte-Carlo interval."
)
_HEAD = (
    "| world | k | blocks | estimator | covered (95 %) | worst effect | median width, mm | "
    "an error without adjustment | with Holm | simultaneous intervals |",
    "|---|--:|--:|---|---:|---:|---:|---:|---:|---:|",
)


def _line(row: IntervalRow) -> str:
    low, high = row.coverage_range
    cells = [row.world, str(row.k), str(row.blocks), row.estimator]
    cells += [f"{row.coverage:.1%} ({low:.1%} to {high:.1%})", f"{row.worst:.1%}"]
    cells += [f"{row.width_mm:.2f}", f"{row.wrong:.1%}"]
    cells += [f"{row.wrong_holm:.1%}", f"{row.wrong_together:.1%} +- {row.error:.1%}"]
    return "| " + " | ".join(cells) + " |"
