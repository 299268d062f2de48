"""Cells with their blocks, ranked by the selection rule of stages and only if comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from handssl.report.rows import MEASURES, Measure, Row
from handssl.stats.cell_means import adjusted_means, connected_sets


@dataclass(frozen=True)
class CellRow:
    """A cell, or a reference, with its rows in all blocks of its section.

    Attributes:
        rows: Rows ordered by block, at least one.
        blocks: All blocks of the section; the cell may lack some.
        means: For a ranked cell: mean of each measure over all blocks in mm, adjusted for missing
            blocks.
    """

    rows: tuple[Row, ...]
    blocks: tuple[int, ...]
    means: Mapping[Measure, float] = field(default_factory=dict)

    @property
    def first(self) -> Row:
        """First row, for shared values: label, composition, objective, kind, epochs."""
        return self.rows[0]

    @property
    def name(self) -> str:
        """The composition, or the label of a reference."""
        return self.first.label if self.first.kind == "reference" else self.first.composition

    @property
    def title(self) -> str:
        """The name with everything that distinguishes cells: relative transformations, settings."""
        if self.first.kind == "reference":
            return self.name
        relative = f"(relative: {self.first.relative_on})" if self.first.relative_on else ""
        return " ".join(filter(None, (self.name, relative, self.first.settings)))

    @property
    def whole(self) -> bool:
        """Whether it finished in every block."""
        return len(self.done) == len(self.blocks)

    @property
    def done(self) -> tuple[Row, ...]:
        """The rows of the blocks in which it finished."""
        return tuple(row for row in self.rows if row.finished)

    @property
    def finished(self) -> bool:
        """Whether it is ranked: it finished in every block, or in enough to adjust its mean."""
        return "median_mm" in self.means

    @property
    def epochs_reached(self) -> tuple[int, ...]:
        """Distinct last epochs of the blocks, ascending."""
        return tuple(sorted({row.epoch for row in self.rows}))

    def mean(self, measure: Measure) -> float | None:
        """Return the mean over blocks; None unless ranked, or complete at a single epoch."""
        if self.finished:
            return self.means.get(measure)
        values = [getattr(row, measure) for row in self.rows]
        complete = len(values) == len(self.blocks) and None not in values
        return fmean(values) if complete and len(self.epochs_reached) == 1 else None

    def by_block(self) -> dict[int, Row | None]:
        """Return the row of every block, None for a missing one."""
        return dict.fromkeys(self.blocks) | {row.block: row for row in self.rows}


@dataclass(frozen=True)
class Ranking:
    """The cells of a section.

    Attributes:
        finished: Ranked cells by mean of the primary metric, including references.
        early: Cells that finished in too few blocks or none; the longest trained first.
        blocks: Blocks of the section, ascending.
        apart: Labels of the cells of `early` that are completed in enough blocks, but that no
            chain of common blocks connects with the ranked ones.
    """

    finished: tuple[CellRow, ...]
    early: tuple[CellRow, ...]
    blocks: tuple[int, ...]
    apart: tuple[str, ...] = ()

    @property
    def trials(self) -> tuple[CellRow, ...]:
        """The ranked cells that are not references."""
        return tuple(cell for cell in self.finished if cell.first.kind == "trial")


def rank(rows: Iterable[Row]) -> Ranking:
    """Group rows into cells and rank them by the selection rule of stages.

    The rule is the mean over blocks, adjusted for blocks in which a cell did not finish:
    `handssl.stats.cell_means`. A trial that ended early was measured at another epoch and is not
    included in a mean.

    Args:
        rows: Rows of one section: one stage, one dataset, one length.

    Example:
        >>> done = Row("contrastive blur", "blur", "contrastive", 1, "completed", 6, 6, 80.0)
        >>> early = Row("contrastive noise", "noise", "contrastive", 1, "stopped", 2, 6, 70.0)
        >>> [cell.name for cell in rank([early, done]).finished]
        ['blur']
    """
    cells = _with_means(_cells(sorted(rows, key=lambda row: (row.block, row.label))))
    finished = [cell for cell in cells if cell.finished]
    early = [cell for cell in cells if not cell.finished]
    return Ranking(
        tuple(sorted(finished, key=lambda cell: (cell.means["median_mm"], cell.first.label))),
        tuple(sorted(early, key=_farthest_first)),
        cells[0].blocks if cells else (),
        _apart(cells),
    )


def _cells(rows: Sequence[Row]) -> list[CellRow]:
    blocks = tuple(sorted({row.block for row in rows}))
    groups: dict[tuple[str, int, int], list[Row]] = {}
    seen: Counter[tuple[str, int, int]] = Counter()
    for row in rows:
        # A storage may contain a cell twice, with other settings: two lines, never one mean.
        key = (row.label, row.epochs, row.block)
        groups.setdefault((row.label, row.epochs, seen[key]), []).append(row)
        seen[key] += 1
    return [CellRow(tuple(group), blocks) for group in groups.values()]


def _with_means(cells: Sequence[CellRow]) -> list[CellRow]:
    """Return the cells with the means of those that are ranked."""
    trials = {n: cell for n, cell in enumerate(cells) if cell.first.kind == "trial"}
    ranked = _adjusted(trials, "median_mm")
    able = {n: cell for n, cell in trials.items() if n in ranked}
    adjusted = {measure: _adjusted(able, measure) for measure in MEASURES}
    means = {n: {m: found[n] for m, found in adjusted.items() if n in found} for n in able}
    means |= {n: _plain(c) for n, c in enumerate(cells) if n not in trials and c.whole}
    return [CellRow(cell.rows, cell.blocks, means.get(n, {})) for n, cell in enumerate(cells)]


def _adjusted(cells: Mapping[int, CellRow], measure: Measure) -> dict[int, float]:
    # In order of label, like the stages: the same sums, to the last digit.
    names = {f"{cell.first.label} {n:06d}": n for n, cell in cells.items()}
    found = adjusted_means({name: _values(cells[n], measure) for name, n in names.items()})
    return {names[name]: mm for name, mm in found.items()}


def _apart(cells: Sequence[CellRow]) -> tuple[str, ...]:
    trials = [cell for cell in cells if cell.first.kind == "trial"]
    values = {f"{n:06d}": _values(cell, "median_mm") for n, cell in enumerate(trials)}
    return tuple(trials[int(n)].first.label for one in connected_sets(values)[1:] for n in one)


def _values(cell: CellRow, measure: Measure) -> dict[int, float]:
    known = ((row.block, getattr(row, measure)) for row in cell.done)
    return {block: mm for block, mm in known if mm is not None}


def _plain(cell: CellRow) -> dict[Measure, float]:
    values = {measure: [getattr(row, measure) for row in cell.rows] for measure in MEASURES}
    return {measure: fmean(mm) for measure, mm in values.items() if None not in mm}


def _farthest_first(cell: CellRow) -> tuple[int, float, float, str]:
    values = [row.median_mm for row in cell.rows if row.median_mm is not None]
    farthest = max(row.epoch for row in cell.rows)
    return (not values, -farthest, fmean(values) if values else 0.0, cell.first.label)
