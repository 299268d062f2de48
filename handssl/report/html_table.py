"""HTML table of a section."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from handssl.report.layout import EARLY_TITLE, NUMERIC, UNITS, Layout, Line, folded


def html_table(layout: Layout, note: str) -> str:
    """Return a table with its note below; of many cells the worse ones are folded away.

    Args:
        layout: Layout of a section.
        note: HTML id of the note, unique on the page.
    """
    shown, rest = folded(layout)
    more = "" if rest is None else _folded(rest, note)
    return (
        f"{_table(shown, note)}\n{more}"
        f'<p class="muted note" id="{note}">{escape(f"{UNITS} {layout.note}".strip())}</p>'
    )


def _folded(layout: Layout, note: str) -> str:
    count = len(layout.finished) + len(layout.early)
    return f"<details><summary>{count} more cells</summary>\n{_table(layout, note)}</details>\n"


def _table(layout: Layout, note: str) -> str:
    head = "".join(f"<th{_numeric(name)} scope=col>{name}</th>" for name in layout.columns)
    leader = next((line for line in layout.finished if line.cells[0] == "1"), None)
    body = [_line(line, layout.columns, first=line is leader) for line in layout.finished]
    if layout.early:
        title = f'<td class="number"></td><td colspan={len(layout.columns) - 1}>{EARLY_TITLE}</td>'
        body.append(f'<tr class="section">{title}</tr>')
        body += [_line(line, layout.columns) for line in layout.early]
    return (
        f'<div class="wide" tabindex="0"><table class="cells" aria-describedby="{note}">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>" + "\n".join(body) + "</tbody></table></div>"
    )


def _line(line: Line, columns: Sequence[str], *, first: bool = False) -> str:
    cells = "".join(
        f"<td{_numeric(name) or _coloured(name, cell)}>{_text(name, cell)}</td>"
        for name, cell in zip(columns, line.cells, strict=True)
    )
    return f'<tr class="{line.kind}{" first" if first else ""}">{cells}</tr>'


def _numeric(column: str) -> str:
    return ' class="number"' if column in NUMERIC else ""


def _coloured(column: str, cell: str) -> str:
    if column == "cell":
        return ' class="cell"'
    return f' class="{escape(cell)}"' if column == "objective" and cell != "reference" else ""


def _text(column: str, cell: str) -> str:
    """Return a cell's text; long names of cells may break after a transformation."""
    return escape(cell).replace("+", "+<wbr>") if column == "cell" else escape(cell)
