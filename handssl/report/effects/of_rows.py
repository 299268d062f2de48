"""Estimate the effects of a study of compositions from its rows and its plan."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from handssl.report.effects.gaps import BlockGap, all_compositions, lacking
from handssl.report.rows import Row
from handssl.report.sections import Section, main_sections
from handssl.scheduling.skeletons import planned_skeletons
from handssl.stats.contrasts import Composition, Effect, full_effects
from handssl.stats.difference import BlockSample, difference_effects
from handssl.stats.fraction import fraction_effects

_USABLE = ("completed", "stopped", "running")
Grid = dict[Composition, Row]


@dataclass(frozen=True)
class StudyEffects:
    """Main effects of a study.

    Attributes:
        effects: Effects by transformation, the most helpful first.
        method: Description of the estimation method.
        holds_for: Scope of the intervals: seeds in general, or only these seeds; empty without
            intervals.
    """

    effects: dict[str, Effect]
    method: str
    holds_for: str

    def lines(self) -> list[str]:
        """Return one line per transformation."""
        return [f"{one.name}: {describe(one)}" for one in self.effects.values()]


def study_effects(rows: Iterable[Row], planned: Mapping[str, str]) -> StudyEffects | None:
    """Return the effect of enabling each transformation on the median error on `select`.

    Only cells of stage `compositions` count, or of a study of cells with all compositions; and only
    blocks that have every composition. If all of them were completed, effects are plain contrasts;
    otherwise they come from the difference estimator, for which the plan gives the skeleton and the
    order of blocks.

    Args:
        rows: Rows of the study.
        planned: The current plan, dotted names to text.

    Returns:
        The effects; None if no block has all compositions, or the skeleton is too small.
    """
    found = (_of_stage(one.rows, one.stage, planned) for one in reversed(_able(rows)))
    return next((effects for effects in found if effects is not None), None)


def effect_gaps(rows: Iterable[Row], planned: Mapping[str, str]) -> tuple[BlockGap, ...]:
    """Return the blocks excluded from effects; none if the study has no effects to estimate.

    Args:
        rows: Rows of the study.
        planned: The current plan, dotted names to text.
    """
    able = list(reversed(_able(rows)))
    used = next((s for s in able if _of_stage(s.rows, s.stage, planned)), able[0] if able else None)
    return () if used is None else tuple(_gaps(used, planned))


def _able(rows: Iterable[Row]) -> list[Section]:
    able = [section for section in main_sections(rows) if section.stage_kind != "objectives"]
    return [one for one in able if one.stage_kind == "compositions"] or able


def _gaps(section: Section, planned: Mapping[str, str]) -> Iterator[BlockGap]:
    rows = [row for row in section.rows if row.kind == "trial"]
    labels = _chosen(rows)
    names = _names(labels)
    wanted = all_compositions(names)
    # Cells that are not compositions of a few transformations have no effects in this sense.
    if len(wanted) < 4 or (section.stage_kind != "compositions" and len(labels) < len(wanted)):
        return
    if _is_fraction(section.stage, planned):
        yield from _gaps_of_fraction(rows, labels, section.stage, planned)
        return
    grids = _partial_grids(rows, labels)
    whole = all(row.finished for g in grids.values() if len(g) == len(wanted) for row in g.values())
    for block in _planned_blocks(planned) or sorted({row.block for row in rows}):
        grid = grids.get(block, {})
        gap = lacking(block, wanted, grid, rows, labels)
        if gap is None and not whole:
            gap = _skeleton_gap(block, grid, rows, labels, section.stage, planned)
        if gap is not None:
            yield gap


def _skeleton_gap(
    block: int,
    grid: Grid,
    rows: Sequence[Row],
    labels: Mapping[Composition, str],
    stage: str,
    planned: Mapping[str, str],
) -> BlockGap | None:
    """Return the unfinished trials of the skeleton, if other trials were stopped early."""
    finished = {c: row for c, row in grid.items() if row.finished}
    chosen = _skeleton(_names(grid), block, stage, planned)
    return lacking(block, sorted(chosen or grid), finished, rows, labels)


def _gaps_of_fraction(
    rows: Sequence[Row],
    labels: Mapping[Composition, str],
    stage: str,
    planned: Mapping[str, str],
) -> Iterator[BlockGap]:
    """Return the blocks that lack a cell of their fraction."""
    grids = _partial_grids(rows, labels)
    for block in _planned_blocks(planned):
        finished = {c: row for c, row in grids.get(block, {}).items() if row.finished}
        chosen = _skeleton(_names(labels), block, stage, planned)
        if gap := lacking(block, sorted(chosen), finished, rows, labels):
            yield gap


def _of_fraction(
    rows: Sequence[Row], stage: str, planned: Mapping[str, str]
) -> StudyEffects | None:
    """Return the contrasts of the fraction's cells, of the blocks in which all were completed."""
    labels = _chosen(rows)
    values = []
    for block, grid in sorted(_partial_grids(rows, labels).items()):
        chosen = _skeleton(_names(labels), block, stage, planned)
        if chosen and all(c in grid and grid[c].finished for c in chosen):
            values.append({c: _last(grid[c]) for c in sorted(chosen)})
    if not values:
        return None
    whole = 2 ** len(_names(labels))
    method = f"fraction of {len(values[0])} of {whole} compositions in {_blocks(len(values))}"
    several = ", another coset in each" if len(values) > 1 else ""
    return _sorted(fraction_effects(values), method + several, "these seeds")


def _of_stage(rows: Sequence[Row], stage: str, planned: Mapping[str, str]) -> StudyEffects | None:
    trials = tuple(row for row in rows if row.kind == "trial")
    if _is_fraction(stage, planned):
        return _of_fraction(trials, stage, planned)
    grids = _grids(trials)
    if not grids:
        return None
    if all(row.finished for grid in grids.values() for row in grid.values()):
        values = [{c: _last(row) for c, row in grid.items()} for grid in grids.values()]
        method = f"all compositions in {_blocks(len(grids))}"
        return _sorted(full_effects(values), method, "seeds in general" if len(grids) > 1 else "")
    chosen = [_skeleton(_names(grid), block, stage, planned) for block, grid in grids.items()]
    samples = [_sample(grid, one) for grid, one in zip(grids.values(), chosen, strict=True)]
    known = [sample for sample in samples if sample is not None]
    if not known:
        return None
    try:
        found = difference_effects(known)
    except ValueError:
        return None
    size = len(known[0].final)
    method = f"difference estimator, skeleton of {size} in {_blocks(len(known))}"
    return _sorted(found, method, "these seeds")


def describe(effect: Effect) -> str:
    """Format an effect with its interval.

    Example:
        >>> describe(Effect("blur", -1.234, -2.0, -0.5, 4))
        '-1.23 mm (-2.00 to -0.50)'
    """
    known = math.isfinite(effect.low)
    interval = f"{effect.low:+.2f} to {effect.high:+.2f}" if known else "undecided: one seed"
    return f"{effect.mm:+.2f} mm ({interval})"


def _grids(rows: Sequence[Row]) -> dict[int, Grid]:
    """Return the blocks that have all compositions, each with one objective in all blocks."""
    chosen = _chosen(rows)
    names = {name for composition in chosen for name in composition}
    grids, whole = _partial_grids(rows, chosen), 2 ** len(names)
    return {b: grid for b, grid in sorted(grids.items()) if len(names) > 1 and len(grid) == whole}


def _partial_grids(rows: Sequence[Row], chosen: Mapping[Composition, str]) -> dict[int, Grid]:
    """Return the usable rows of each block by composition."""
    grids: dict[int, Grid] = {}
    for row in rows:
        composition = _composition(row)
        if row.label == chosen[composition] and row.curve and row.outcome in _USABLE:
            grids.setdefault(row.block, {})[composition] = row
    return grids


def _chosen(rows: Sequence[Row]) -> dict[Composition, str]:
    """Return the label of the cell with the smallest mean for each composition."""
    last: dict[Composition, dict[str, list[float]]] = {}
    for row in sorted(rows, key=lambda one: one.label):
        value = _last(row) if row.finished else math.inf
        last.setdefault(_composition(row), {}).setdefault(row.label, []).append(value)
    return {c: min(cells, key=lambda one: fmean(cells[one])) for c, cells in last.items()}


def _sample(grid: Grid, chosen: frozenset[Composition]) -> BlockSample | None:
    if not chosen:
        return None
    common = min(row.curve[-1][0] for row in grid.values())
    early = {c: [dict(row.curve)[common]] for c, row in grid.items() if common in dict(row.curve)}
    if len(early) < len(grid) or not all(grid[c].finished for c in chosen):
        return None
    return BlockSample(early, {c: _last(grid[c]) for c in sorted(chosen)})


def _names(compositions: Iterable[Composition]) -> list[str]:
    return sorted({name for composition in compositions for name in composition})


def _is_fraction(stage: str, planned: Mapping[str, str]) -> bool:
    return planned.get(f"stages.{stage}.design") == "fraction"


def _skeleton(
    names: Sequence[str], block: int, stage: str, planned: Mapping[str, str]
) -> frozenset[Composition]:
    """Return the skeleton of a block by the plan; empty without one."""
    skeletons, position = planned_skeletons(planned, stage, names), _position(block, planned)
    return frozenset() if skeletons is None or position is None else skeletons.of(position)


def _position(block: int, planned: Mapping[str, str]) -> int | None:
    blocks = _planned_blocks(planned)
    return blocks.index(block) if block in blocks else None


def _planned_blocks(planned: Mapping[str, str]) -> list[int]:
    return [int(one) for one in planned.get("blocks", "").split(",") if one.strip().isdecimal()]


def _composition(row: Row) -> Composition:
    return () if row.composition == "none" else tuple(sorted(row.composition.split("+")))


def _last(row: Row) -> float:
    return row.curve[-1][1]


def _blocks(count: int) -> str:
    return f"{count} block{'s' if count > 1 else ''}"


def _sorted(effects: Mapping[str, Effect], method: str, holds_for: str) -> StudyEffects:
    ordered = sorted(effects.values(), key=lambda one: one.mm)
    return StudyEffects({one.name: one for one in ordered}, method, holds_for)
