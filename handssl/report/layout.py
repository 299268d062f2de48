"""Text layout of a section's table, shared by all output formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from handssl.ledger.references import TRUE_ANGLE
from handssl.report.ranking import CellRow, Ranking
from handssl.report.rows import MEASURES, Row
from handssl.report.sections import Section

MISSING = "–"
EARLY_TITLE = "ended early, so not ranked"
UNITS = (
    "Errors in mm. Median and MPJE: root-relative, 20 joints; PA: median after Procrustes "
    "alignment, 21 joints. Cells are ranked by the median on select; references have no rank."
)
MACHINE = (
    "The numbers depend on the machine: the number of threads and the vector width of the "
    "processor change rounding, and training amplifies it. Only the same machine with as many "
    "threads repeats them to the bit."
)
NOT_CONNECTED = (
    "Cells that no chain of common blocks connects with the ranked ones are not ranked either: "
    "what separates them may be the blocks."
)
_NUMBERS = ("median", "PA", "MPJE", "test median", "test PA", "test MPJE")
NUMERIC = ("#", "epoch", *_NUMBERS)
WIDE_ONLY = ("MPJE", "test MPJE")
"""Columns that the terminal has no room for."""
BEST = 20
"""Number of cells that pages and publications show of a longer table, besides references."""
_LISTED_BLOCKS = 5
# From the least to the most important for a cell.
_OUTCOMES = ("running", "stopped", "cancelled", "diverged", "failed")


@dataclass(frozen=True)
class Line:
    """One line of the table as text.

    Attributes:
        cells: Text for each of the layout's columns.
        kind: `trial` or `reference`.
        outcome: Worst outcome of the blocks; `completed` only if all are.
    """

    cells: tuple[str, ...]
    kind: str
    outcome: str


@dataclass(frozen=True)
class Layout:
    """The table of a section as text.

    Attributes:
        title: Title of the section; empty if it is the only one.
        columns: Titles of the columns.
        finished: Ranked lines, including references.
        early: Lines that are not ranked.
        note: Note on this section's numbers besides `UNITS`; may be empty.
        per_block: Title of the column with the value of each block; empty if there is one block.
    """

    title: str
    columns: tuple[str, ...]
    finished: tuple[Line, ...]
    early: tuple[Line, ...]
    note: str
    per_block: str = ""


def lay_out(section: Section) -> Layout:
    """Lay out the table of a section.

    Args:
        section: Section of a report.

    Example:
        >>> from handssl.report.sections import sections
        >>> row = Row("contrastive blur", "blur", "contrastive", 1, "completed", 6, 6, 80.04)
        >>> lay_out(sections([row])[0]).finished[0].cells
        ('1', 'blur', 'contrastive', '80.0', '–', '–', '–', '–', '–', '6/6', 'completed')
    """
    ranking = section.ranking
    several, per_block = len(ranking.blocks) > 1, _block_title(ranking.blocks)
    ranks = _ranks(ranking.finished)
    titles = ("#", "cell", "objective", *_NUMBERS, per_block, "epoch", "outcome")
    return Layout(
        title=section.title,
        columns=tuple(title for title in titles if title),
        finished=tuple(_line(n, c, several) for n, c in zip(ranks, ranking.finished, strict=True)),
        early=tuple(_line("", cell, several) for cell in ranking.early),
        note=_note(ranking),
        per_block=per_block,
    )


def folded(layout: Layout) -> tuple[Layout, Layout | None]:
    """Divide a long table: the best cells with all references, and the rest.

    Args:
        layout: Layout of a section.

    Returns:
        The part to show, and the part to fold away; None if everything is shown. A rest of less
        than five cells is shown.
    """
    trials = [line for line in (*layout.finished, *layout.early) if line.kind == "trial"]
    rest = trials[BEST:]
    if len(rest) < 5:
        return layout, None
    hidden = {id(line) for line in rest}

    def part(lines: Sequence[Line], away: bool) -> tuple[Line, ...]:
        return tuple(line for line in lines if (id(line) in hidden) == away)

    shown, others = (
        replace(layout, finished=part(layout.finished, away), early=part(layout.early, away))
        for away in (False, True)
    )
    return shown, others


def format_mm(value: float | None) -> str:
    """Format millimetres with one decimal, None as a dash."""
    return MISSING if value is None else f"{value:.1f}"


def outcome_of(cell: CellRow) -> str:
    """Return the worst outcome of a cell: `completed` only if it is completed in all blocks."""
    outcomes = [row.outcome for row in cell.rows if row.outcome != "completed"]
    if not outcomes:
        return "completed" if cell.whole else "incomplete"
    return max(outcomes, key=_OUTCOMES.index)


def _ranks(cells: Sequence[CellRow]) -> list[str]:
    """Number the trials; references are listed without a number."""
    count, ranks = 0, []
    for cell in cells:
        count += cell.first.kind == "trial"
        ranks.append(str(count) if cell.first.kind == "trial" else "")
    return ranks


def _line(number: str, cell: CellRow, several: bool) -> Line:
    reference = cell.first.kind == "reference"
    partly = cell.finished and not cell.whole
    outcome = f"in {len(cell.done)} of {len(cell.blocks)}" if partly else outcome_of(cell)
    return Line(
        cells=(
            number,
            cell.title,
            "reference" if reference else cell.first.objective,
            *(format_mm(cell.mean(measure)) for measure in MEASURES),
            *((_by_block(cell),) if several else ()),
            _epoch(cell),
            outcome,
        ),
        kind=cell.first.kind,
        outcome=outcome_of(cell),
    )


def _block_title(blocks: Sequence[int]) -> str:
    if len(blocks) < 2:
        return ""
    if len(blocks) > _LISTED_BLOCKS:
        return f"median over {len(blocks)} blocks"
    return f"median in blocks {', '.join(map(str, blocks))}"


def _by_block(cell: CellRow) -> str:
    if len(cell.blocks) > _LISTED_BLOCKS:
        values = [
            row.median_mm
            for row in (cell.done if cell.finished else cell.rows)
            if row.median_mm is not None
        ]
        return f"{min(values):.1f} to {max(values):.1f}" if values else MISSING
    return " ".join(_block_value(row, cell.whole) for row in cell.by_block().values())


def _block_value(row: Row | None, whole: bool) -> str:
    value = format_mm(row.median_mm if row else None)
    return value if whole or row is None or row.median_mm is None else f"{value}@{row.epoch}"


def _epoch(cell: CellRow) -> str:
    if not cell.first.epochs:
        return MISSING
    reached = cell.epochs_reached
    span = str(reached[0]) if len(reached) == 1 else f"{reached[0]}-{reached[-1]}"
    return f"{span}/{cell.first.epochs}"


def _rows(ranking: Ranking) -> list[Row]:
    return [row for cell in (*ranking.finished, *ranking.early) for row in cell.rows]


def _note(ranking: Ranking) -> str:
    count = len(ranking.blocks)
    adjusted = any(not cell.whole for cell in ranking.finished)
    parts = [f"Means over {count} blocks."] if count > 1 else []
    if any(row.label == TRUE_ANGLE.label for row in _rows(ranking)):
        parts.append("True-angle oracle: the mean pose turned to each hand's true in-plane angle.")
    if adjusted:
        parts.append(
            f'A cell "in 1 of {count}" was completed in only one block: its mean is adjusted for '
            "blocks, as in the choice of the stage."
        )
    if ranking.early and count > 1:
        parts.append("Cells completed in too few blocks for that, or in none, are not ranked.")
    elif ranking.early:
        parts.append("Cells that ended early were measured at another epoch and are not ranked.")
    if ranking.apart:
        parts.append(NOT_CONNECTED)
    if any(row.outcome == "stopped" and row.epoch == row.epochs for row in _rows(ranking)):
        parts.append("Another stage or study may have completed trials that were stopped here.")
    if count > 1 and (adjusted or ranking.early) and count <= _LISTED_BLOCKS:
        parts.append("76.9@4 is a median after epoch 4.")
    return " ".join(parts)
