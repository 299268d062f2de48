"""Estimate the effects of a study of compositions from its rows and its plan."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from handssl.report.effects.gaps import BlockGap, gaps_of
from handssl.report.effects.stage_grid import StageGrid
from handssl.report.rows import Row
from handssl.report.sections import main_sections
from handssl.stats.anova import OrderShare, all_contrasts, anova_by_order
from handssl.stats.contrasts import Effect
from handssl.stats.difference import difference_effects
from handssl.stats.fraction import fraction_effects
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample


@dataclass(frozen=True)
class StudyEffects:
    """Effects of a study's transformations.

    Attributes:
        effects: Main effects by transformation, the most helpful first.
        pairs: Interactions of two, the strongest first; those that the skeletons do not separate
            from other effects last, without a value.
        method: Description of the estimation method.
        blocks: Number of blocks.
        orders: Analysis of variance by order, on full grids.
        contrasts: All effects in mm by name, on full grids.
    """

    effects: dict[str, Effect]
    pairs: dict[str, Effect]
    method: str
    blocks: int
    orders: tuple[OrderShare, ...] = ()
    contrasts: Mapping[str, float] = field(default_factory=dict)

    @property
    def lacks(self) -> bool:
        """Whether last values are missing, so that the estimates have bounds."""
        return any(one.bounds[1] - one.bounds[0] > 1e-9 for one in self.effects.values())


def study_effects(rows: Iterable[Row], planned: Mapping[str, str]) -> StudyEffects | None:
    """Return the effect of enabling each transformation on the median error on `select`.

    Only cells of stage `compositions` count, or of a study of cells with all compositions, and only
    blocks with at least half of the last values that the estimate needs. If no trial was stopped
    early, effects are contrasts of the grid; otherwise they come from the difference estimator, for
    which the plan gives the skeleton of each block. Values of failed, diverged, cancelled and
    unfinished trials are missing: see `handssl.stats.incomplete`.

    Args:
        rows: Rows of the study.
        planned: The current plan, dotted names to text.

    Returns:
        The effects; None if no block has enough last values, or they determine no main effects.
    """
    found = (_estimated(one) for one in _able(rows, planned))
    return next((effects for effects in found if effects is not None), None)


def effect_gaps(rows: Iterable[Row], planned: Mapping[str, str]) -> tuple[BlockGap, ...]:
    """Return the last values that effects lack; none if the study has no effects to estimate.

    Args:
        rows: Rows of the study.
        planned: The current plan, dotted names to text.
    """
    able = _able(rows, planned)
    used = next((one for one in able if _estimated(one)), able[0] if able else None)
    return () if used is None else tuple(gaps_of(used))


def _able(rows: Iterable[Row], planned: Mapping[str, str]) -> list[StageGrid]:
    """Return the stages that have effects, the last one first."""
    able = [section for section in main_sections(rows) if section.stage_kind != "objectives"]
    able = [one for one in able if one.stage_kind == "compositions"] or able
    grids = [StageGrid.of(section, planned) for section in reversed(able)]
    return [grid for grid in grids if grid.has_effects]


def _estimated(grid: StageGrid) -> StudyEffects | None:
    try:
        if not grid.used_blocks():
            return None
        if grid.is_fraction:
            return _of_fraction(grid)
        return _of_skeleton(grid) if grid.has_stopped else _of_grid(grid)
    except ValueError:  # what is there determines no main effects; the gaps name what is missing
        return None


def _of_grid(grid: StageGrid) -> StudyEffects:
    values = [grid.finished(block) for block in grid.used_blocks()]
    size, known = len(grid.everything), len({one for block in values for one in block})
    method = f"all compositions in {_blocks(len(values))}"
    if missing := size * len(values) - sum(map(len, values)):
        method += f" but {_trials(missing)}, fitted by composition and block"
    found = full_effects(values, pairs=True)
    if known < size:
        model = "main effects and pairs" if len(found) > len(grid.names) else "main effects"
        method = method.partition(", fitted")[0] + (
            f", of {size - known} of the {size} compositions no value: fitted by block and {model}"
        )
    orders, contrasts = anova_by_order(values), all_contrasts(values)
    return _sorted(found, method, len(values), orders, contrasts)


def _of_skeleton(grid: StageGrid) -> StudyEffects | None:
    """Return effects from the skeletons; None without skeletons."""
    blocks = [block for block in grid.used_blocks() if grid.skeleton(block)]
    if not blocks:
        return None
    found = difference_effects([_sample(grid, block) for block in blocks], pairs=True)
    size = len(grid.skeleton(blocks[0]))
    method = f"difference estimator, skeleton of {size} in {_blocks(len(blocks))}"
    return _sorted(found, method + _missing(grid, blocks), len(blocks))


def _of_fraction(grid: StageGrid) -> StudyEffects | None:
    """Return the contrasts of the fractions; None without any."""
    blocks = [block for block in grid.used_blocks() if grid.skeleton(block)]
    if not blocks:
        return None
    found = fraction_effects([_final(grid, block) for block in blocks], pairs=True)
    size, whole = len(grid.skeleton(blocks[0])), len(grid.everything)
    method = f"fraction of {size} of {whole} compositions in {_blocks(len(blocks))}"
    several = ", another coset in each" if len(blocks) > 1 else ""
    return _sorted(found, method + several + _missing(grid, blocks), len(blocks))


def _missing(grid: StageGrid, blocks: Iterable[int]) -> str:
    count = sum(len(grid.wanted(block)) - len(grid.finished(block)) for block in blocks)
    return f" but {_trials(count)}, fitted by main effects and block" if count else ""


def _trials(count: int) -> str:
    return f"{count} missing trial{'s' if count > 1 else ''}"


def _final(grid: StageGrid, block: int) -> dict[tuple[str, ...], float]:
    return dict.fromkeys(grid.skeleton(block), math.nan) | grid.finished(block)


def _sample(grid: StageGrid, block: int) -> BlockSample:
    rows = grid.grids[block]
    ended = [row for row in rows.values() if row.finished or row.outcome == "stopped"]
    common = min((row.curve[-1][0] for row in ended if row.curve), default=0)
    curves = {composition: dict(row.curve) for composition, row in rows.items()}
    early = {one: [curves.get(one, {}).get(common, math.nan)] for one in grid.everything}
    return BlockSample(early, _final(grid, block))


def _blocks(count: int) -> str:
    return f"{count} block{'s' if count > 1 else ''}"


def _sorted(
    found: Mapping[str, Effect],
    method: str,
    blocks: int,
    orders: tuple[OrderShare, ...] = (),
    contrasts: Mapping[str, float] | None = None,
) -> StudyEffects:
    main = sorted((one for one in found.values() if one.order == 1), key=lambda one: one.mm)
    pairs = sorted(
        (one for one in found.values() if one.order == 2),
        key=lambda one: (math.isnan(one.mm), -abs(one.mm) if math.isfinite(one.mm) else 0.0),
    )
    return StudyEffects(
        {one.name: one for one in main},
        {one.name: one for one in pairs},
        method,
        blocks,
        orders,
        contrasts or {},
    )
