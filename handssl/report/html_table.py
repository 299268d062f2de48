"""HTML table of a section."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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


def plain_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Collection[str] = (),
    described_by: str = "",
) -> str:
    """Return a table of plain text, numbers to the right; wider ones scroll.

    Args:
        titles: Titles of the columns; the first column names the row.
        rows: Cells of each row as plain text.
        words: Titles of other columns that are text.
        described_by: HTML id of the note below the table; empty without one.
    """
    kinds = ["" if n == 0 or name in words else "number" for n, name in enumerate(titles)]
    head = "".join(
        f"<th{_class(kind)} scope=col>{escape(name)}</th>"
        for kind, name in zip(kinds, titles, strict=True)
    )
    body = "\n".join(_plain_row(row, kinds) for row in rows)
    note = f' aria-describedby="{described_by}"' if described_by else ""
    table = f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"
    return f'<div class="wide" tabindex="0"><table class="cells"{note}>{table}</table></div>'


def _plain_row(row: Sequence[str], kinds: Sequence[str]) -> str:
    cells = zip(["cell", *kinds[1:]], row, strict=True)
    return (
        "<tr>" + "".join(f"<td{_class(kind)}>{escape(cell)}</td>" for kind, cell in cells) + "</tr>"
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


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
