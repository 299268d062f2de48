"""Tables of a study for the terminal and as Markdown, one per section."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from handssl.report.layout import (
    EARLY_TITLE,
    MACHINE,
    NUMERIC,
    UNITS,
    WIDE_ONLY,
    Layout,
    Line,
    lay_out,
)
from handssl.report.rows import Row
from handssl.report.sections import sections

_NAMES = ("#", "cell", "objective")
# Narrower terminals get the columns in several tables.
_WIDE = 76
_STYLE = {
    "stopped": "yellow",
    "cancelled": "magenta",
    "diverged": "red",
    "failed": "red",
    "running": "cyan",
}


def terminal_table(rows: Iterable[Row]) -> RenderableType:
    """Return the tables for a rich console; they fit 80 columns, so without MPJE.

    With several blocks a second table below shows the values of each block.

    Args:
        rows: Rows of one study.
    """
    layouts = [lay_out(section) for section in sections(rows)]
    if not layouts:
        return Text("No trial has been recorded yet.")
    parts: list[RenderableType] = []
    for layout in layouts:
        if layout.title:
            between = [""] if parts else []
            parts += [*between, Text(layout.title, style="bold"), ""]
        parts.append(_Tables(layout))
        if layout.note and len(layouts) > 1:
            parts += ["", Text(layout.note, style="dim")]
    notes = [UNITS, *(layout.note for layout in layouts if len(layouts) == 1), MACHINE]
    return Group(*parts, "", Text(" ".join(filter(None, notes)), style="dim"))


@dataclass(frozen=True)
class _Tables:
    """The table of a section, divided where the terminal is too narrow for all of its columns."""

    layout: Layout

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, titles in enumerate(self._parts(options.max_width)):
            yield from [""] if number else []
            yield _rich_table(self.layout, titles)

    def _parts(self, width: int) -> list[Sequence[str]]:
        apart = {*WIDE_ONLY, self.layout.per_block}
        whole = [title for title in self.layout.columns if title not in apart]
        tests = [title for title in whole if title.startswith("test ")]
        rest = [title for title in whole if title not in (*tests, "epoch", "outcome")]
        blocks = [(*_NAMES, self.layout.per_block)] if self.layout.per_block else []
        return [whole, *blocks] if width >= _WIDE else [rest, (*_NAMES, *tests), *blocks]


def _rich_table(layout: Layout, titles: Sequence[str]) -> Table:
    """Return some of the columns as a table."""
    chosen = [layout.columns.index(title) for title in titles]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        justify: Literal["left", "right"] = "right" if title in NUMERIC else "left"
        # Numbers are never wrapped: on narrow terminals the names of compositions are.
        table.add_column(
            title.replace("test ", "test\n"),
            justify=justify,
            no_wrap=title not in ("cell", layout.per_block),
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
    """Return the tables as Markdown, one line of text per row.

    Args:
        rows: Rows of one study.

    Example:
        >>> row = Row("contrastive blur", "blur", "contrastive", 1, "completed", 6, 6, 80.04)
        >>> print(markdown_table([row]).splitlines()[2])
        | 1 | blur | contrastive | 80.0 | – | – | – | – | – | 6/6 | completed |
    """
    layouts = [lay_out(section) for section in sections(rows)]
    parts = []
    for layout in layouts:
        parts += [f"### {layout.title}"] if layout.title else []
        parts += [_markdown(layout), " ".join(filter(None, (UNITS, layout.note)))]
    return "\n\n".join([*parts, MACHINE] if parts else ["No trial has been recorded yet."]) + "\n"


def _markdown(layout: Layout) -> str:
    rule = ["--:" if title in NUMERIC else "---" for title in layout.columns]
    lines = [layout.columns, rule, *(_marked(line) for line in layout.finished)]
    if layout.early:
        blank = [""] * len(layout.columns)
        lines.append([blank[0], f"**{EARLY_TITLE}**", *blank[2:]])
        lines += [line.cells for line in layout.early]
    return "\n".join(map(_markdown_line, lines))


def _marked(line: Line) -> Sequence[str]:
    if line.kind == "trial":
        return line.cells
    return [line.cells[0], f"*{line.cells[1]}*", *line.cells[2:]]


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
