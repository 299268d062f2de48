"""The table of a study, laid out once as text: for the terminal, for Markdown, for the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from handssl.report.rows import CellRow, Measure, Ranking, Row, rank

MISSING = "–"
EARLY_TITLE = "ended early: another epoch, so not ranked"
_MEASURES: tuple[Measure, ...] = ("median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm")
_NUMBERS = ("median", "MPJE", "test median", "test MPJE")
NUMERIC = ("#", "epoch", *_NUMBERS)
_LISTED_BLOCKS = 5
_STYLE = {"stopped": "yellow", "diverged": "red", "failed": "red", "running": "cyan"}


@dataclass(frozen=True)
class Line:
    """One line of the table as text.

    Attributes:
        cells: One text for each of the layout's columns.
        kind: `trial` or `reference`.
        outcome: The worst of the blocks; `completed` only if all are.
    """

    cells: tuple[str, ...]
    kind: str
    outcome: str


@dataclass(frozen=True)
class Layout:
    """The table as text, whatever it is shown on.

    Attributes:
        columns: Titles.
        finished: Ranked lines, references among them.
        early: Lines that are not ranked.
        caption: What the numbers are.
        per_block: Title of the column with the value of each block; empty if there is one block.
    """

    columns: tuple[str, ...]
    finished: tuple[Line, ...]
    early: tuple[Line, ...]
    caption: str
    per_block: str = ""


def lay_out(rows: Iterable[Row]) -> Layout:
    """Lay out the table.

    Args:
        rows: Of one study.

    Example:
        >>> row = Row("contrastive blur", "blur", "contrastive", 1, "completed", 6, 6, 80.04)
        >>> lay_out([row]).finished[0].cells
        ('1', 'blur', 'contrastive', '80.0', '–', '–', '–', '6/6', 'completed')
    """
    ranking = rank(rows)
    several, per_block = len(ranking.blocks) > 1, _block_title(ranking.blocks)
    ranks = _ranks(ranking.finished)
    titles = ("#", "cell", "objective", *_NUMBERS, per_block, "epoch", "outcome")
    return Layout(
        columns=tuple(title for title in titles if title),
        finished=tuple(_line(n, c, several) for n, c in zip(ranks, ranking.finished, strict=True)),
        early=tuple(_line("", cell, several) for cell in ranking.early),
        caption=_caption(ranking),
        per_block=per_block,
    )


def terminal_table(rows: Iterable[Row]) -> RenderableType:
    """Return the table for a rich console; it fits 80 columns.

    With several blocks a second table below has the values of each.

    Args:
        rows: Of one study.
    """
    layout = lay_out(rows)
    if not layout.finished and not layout.early:
        return Text("No trial has been recorded yet.")
    caption = Text(layout.caption, style="dim")
    if not layout.per_block:
        return Group(_rich_table(layout, layout.columns), "", caption)
    titles = [title for title in layout.columns if title != layout.per_block]
    blocks = _rich_table(layout, ("#", "cell", "objective", layout.per_block))
    return Group(_rich_table(layout, titles), "", blocks, "", caption)


def _rich_table(layout: Layout, titles: Sequence[str]) -> Table:
    """Return some of the columns as a table."""
    chosen = [layout.columns.index(title) for title in titles]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        justify: Literal["left", "right"] = "right" if title in NUMERIC else "left"
        # Numbers stay whole: where it is narrow, the names of compositions take more lines.
        table.add_column(
            title.replace("test ", "test\n"),
            justify=justify,
            no_wrap=title != "cell",
            overflow="fold",
        )
    for line in layout.finished:
        style = "dim italic" if line.kind == "reference" else None
        table.add_row(*(Text(line.cells[i]) for i in chosen), style=style)
    if layout.early:
        table.add_section()
        table.add_row("", Text("ended early", style="bold"))
    for line in layout.early:
        table.add_row(*(Text(line.cells[i]) for i in chosen), style=_STYLE.get(line.outcome))
    return table


def markdown_table(rows: Iterable[Row]) -> str:
    """Return the table as Markdown, one line of text a row.

    Args:
        rows: Of one study.

    Example:
        >>> row = Row("contrastive blur", "blur", "contrastive", 1, "completed", 6, 6, 80.04)
        >>> print(markdown_table([row]).splitlines()[2])
        | 1 | blur | contrastive | 80.0 | – | – | – | 6/6 | completed |
    """
    layout = lay_out(rows)
    rule = ["--:" if title in NUMERIC else "---" for title in layout.columns]
    lines = [layout.columns, rule, *(_marked(line) for line in layout.finished)]
    if layout.early:
        blank = [""] * len(layout.columns)
        lines.append([blank[0], f"**{EARLY_TITLE}**", *blank[2:]])
        lines += [line.cells for line in layout.early]
    return "\n".join(map(_markdown_line, lines)) + f"\n\n{layout.caption}\n"


def _marked(line: Line) -> Sequence[str]:
    if line.kind == "trial":
        return line.cells
    return [line.cells[0], f"*{line.cells[1]}*", *line.cells[2:]]


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _ranks(cells: Sequence[CellRow]) -> list[str]:
    """Number the trials; references stand at their place without a number."""
    count, ranks = 0, []
    for cell in cells:
        count += cell.first.kind == "trial"
        ranks.append(str(count) if cell.first.kind == "trial" else "")
    return ranks


def _line(number: str, cell: CellRow, several: bool) -> Line:
    reference = cell.first.kind == "reference"
    return Line(
        cells=(
            number,
            cell.name,
            "reference" if reference else cell.first.objective,
            *(format_mm(cell.mean(measure)) for measure in _MEASURES),
            *((_by_block(cell),) if several else ()),
            _epoch(cell),
            outcome_of(cell),
        ),
        kind=cell.first.kind,
        outcome=outcome_of(cell),
    )


def format_mm(value: float | None) -> str:
    """Return millimetres with one decimal, a dash for none."""
    return MISSING if value is None else f"{value:.1f}"


def outcome_of(cell: CellRow) -> str:
    """Return the outcome that says most about a cell: `completed` only if it is, in all blocks."""
    outcomes = [row.outcome for row in cell.rows if row.outcome != "completed"]
    if not outcomes:
        return "completed" if cell.finished else "incomplete"
    return max(outcomes, key=("running", "stopped", "diverged", "failed").index)


def _block_title(blocks: Sequence[int]) -> str:
    if len(blocks) < 2:
        return ""
    if len(blocks) > _LISTED_BLOCKS:
        return f"median over {len(blocks)} blocks"
    return f"median in blocks {', '.join(map(str, blocks))}"


def _by_block(cell: CellRow) -> str:
    if len(cell.blocks) > _LISTED_BLOCKS:
        values = [row.median_mm for row in cell.rows if row.median_mm is not None]
        return f"{min(values):.1f} to {max(values):.1f}" if values else MISSING
    return " ".join(_block_value(row, cell.finished) for row in cell.by_block().values())


def _block_value(row: Row | None, finished: bool) -> str:
    value = format_mm(row.median_mm if row else None)
    return value if finished or row is None else f"{value}@{row.epoch}"


def _epoch(cell: CellRow) -> str:
    if not cell.first.epochs:
        return MISSING
    reached = cell.epochs_reached
    span = str(reached[0]) if len(reached) == 1 else f"{reached[0]}-{reached[-1]}"
    return f"{span}/{cell.first.epochs}"


def _caption(ranking: Ranking) -> str:
    parts = [
        "Errors in mm, root-relative, 20 joints.",
        "Median and MPJE on select, by which cells are ranked; references have no rank.",
    ]
    if len(ranking.blocks) > 1:
        parts.append(f"Means over {len(ranking.blocks)} blocks.")
    if ranking.early:
        parts.append("What ended early was measured at another epoch and is not ranked.")
    if ranking.early and len(ranking.blocks) > 1:
        parts.append("76.9@4 is a median after epoch 4.")
    return " ".join(parts)
