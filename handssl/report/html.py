"""The page of a study: one file that needs nothing else, neither network nor script."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import NamedTemporaryFile

from handssl.errors import InputError
from handssl.report.curves import learning_curves
from handssl.report.dot_plot import dot_plot
from handssl.report.effects import Effect, StudyEffects
from handssl.report.headline import headline
from handssl.report.order import BlockOrder, OrderCheck, order_check
from handssl.report.rows import Ranking, Row, rank
from handssl.report.style import CSS
from handssl.report.svg import element, figure, marker
from handssl.report.table import EARLY_TITLE, NUMERIC, Layout, Line, lay_out

# Belt and braces: even a value that slipped through the escaping could fetch nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_html(
    rows: Sequence[Row],
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    effects: StudyEffects | None = None,
) -> None:
    """Write the page, whole or not at all.

    Args:
        rows: Of one study.
        path: Of the file; its folder is created if it is not there.
        title: Plain text.
        facts: Settings and environment, name to plain text.
        effects: Of the transformations, where the study tells them.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, page(rows, title=title, facts=facts, effects=effects))
    except OSError as error:
        raise InputError(
            f"{path}: expected a file to write the page to, cannot ({error.strerror}); "
            "choose another folder"
        ) from None


def page(
    rows: Sequence[Row],
    *,
    title: str,
    facts: Mapping[str, str],
    effects: StudyEffects | None = None,
) -> str:
    """Return the page as text.

    Args:
        rows: Of one study.
        title: Plain text.
        facts: Name to plain text.
        effects: Likewise.

    Example:
        >>> "<script" in page([], title="<script>", facts={})
        False
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="headline">{escape(headline(rows))}</p>',
        *([_effects(effects)] if effects else []),
        *(_results(rows) if rows else []),
        "<h2>Settings and environment</h2>",
        f"<dl>{''.join(_fact(name, value) for name, value in facts.items())}</dl>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title>\n'
        f"<style>{CSS}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _results(rows: Sequence[Row]) -> list[str]:
    ranking = rank(rows)
    figures = _figures(ranking)
    return [f"<h2>Cells</h2>\n{_table(lay_out(rows))}", figures, _order(order_check(rows))]


def _effects(found: StudyEffects) -> str:
    body = "".join(
        f'<tr class="trial"><td>{escape(one.name)}</td><td class="number">{one.mm:+.2f}</td>'
        f'<td class="number">{_interval(one)}</td></tr>'
        for one in found.effects.values()
    )
    return (
        "<h2>Effects of the transformations</h2>\n"
        '<div class="wide"><table class="cells" aria-describedby="effects-note"><thead><tr>'
        '<th scope=col>transformation</th><th class="number" scope=col>effect, mm</th>'
        f'<th class="number" scope=col>95 % interval</th></tr></thead>\n<tbody>{body}</tbody>'
        '</table></div>\n<p class="muted note" id="effects-note">Mean change of the median error '
        "on select when a transformation is switched on, over all compositions of the others; "
        f"below 0 it helps. Estimate: {escape(found.method)}.</p>"
    )


def _interval(one: Effect) -> str:
    return f"{one.low:+.2f} to {one.high:+.2f}" if math.isfinite(one.low) else "–"


def _table(layout: Layout) -> str:
    head = "".join(f"<th{_numeric(name)} scope=col>{name}</th>" for name in layout.columns)
    leader = next((line for line in layout.finished if line.kind == "trial"), None)
    body = [_line(line, layout.columns, first=line is leader) for line in layout.finished]
    if layout.early:
        title = f'<td class="number"></td><td colspan={len(layout.columns) - 1}>{EARLY_TITLE}</td>'
        body.append(f'<tr class="section">{title}</tr>')
        body += [_line(line, layout.columns) for line in layout.early]
    return (
        f'<div class="wide"><table class="cells" aria-describedby="note">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>" + "\n".join(body) + "</tbody></table></div>\n"
        f'<p class="muted note" id="note">{escape(layout.caption)}</p>'
    )


def _line(line: Line, columns: Sequence[str], *, first: bool = False) -> str:
    cells = "".join(
        f"<td{_numeric(name) or _coloured(name, cell)}>{escape(cell)}</td>"
        for name, cell in zip(columns, line.cells, strict=True)
    )
    return f'<tr class="{line.kind}{" first" if first else ""}">{cells}</tr>'


def _numeric(column: str) -> str:
    return ' class="number"' if column in NUMERIC else ""


def _coloured(column: str, cell: str) -> str:
    return f' class="{escape(cell)}"' if column == "objective" and cell != "reference" else ""


def _figures(ranking: Ranking) -> str:
    cells = (*ranking.finished, *ranking.early)
    objectives = dict.fromkeys(c.first.objective for c in cells if c.first.kind == "trial")
    several = " Small marks are the blocks." if len(ranking.blocks) > 1 else ""
    thin = " Thin curves are the blocks." if len(ranking.blocks) > 1 else ""
    return (
        f'<h2>Figures</h2>\n<p class="key">{"".join(map(_key, [*sorted(objectives), "early"]))}</p>'
        '<div class="figures">\n'
        "<figure><figcaption>The last median of every cell, both objectives of a composition on one"
        f" line; dashed lines are references.{several}</figcaption>{dot_plot(ranking)}</figure>\n"
        "<figure><figcaption>Median after each epoch, on select. Curves of stopped trials end"
        f" early.{thin}</figcaption>{learning_curves(ranking)}</figure>\n</div>"
    )


def _key(name: str) -> str:
    label = "ended early" if name == "early" else name
    sign = figure(14, 14, label, [marker(7, 7, f"dot-key dot {name}", label)])
    return element("span", sign + escape(label))


def _order(order: OrderCheck) -> str:
    items = "".join(_order_item(block) for block in order.blocks)
    return (
        "<h2>Order: mean pose &gt; random encoder &gt; best self-supervised &gt; supervised</h2>\n"
        f'<p class="{"held" if order.held else "failed"}">{escape(order.verdict)}</p>'
        f'<ul class="order">{items}</ul>'
    )


def _order_item(block: BlockOrder) -> str:
    select, _, test = str(block).partition("\n")
    body, _, verdict = select.rpartition(": ")
    state = "held" if block.held else "failed"
    return (
        f'<li>{escape(body)}: <span class="{state}">{escape(verdict)}</span>'
        f'<br><span class="muted">{escape(test.strip())}</span></li>'
    )


def _fact(name: str, value: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"


def _replace(path: Path, content: str) -> None:
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        partial = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            partial.chmod(0o644)  # the temporary file is private, the page is for whoever may read
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
