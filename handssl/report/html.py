"""HTML page of a study: a single file without network access or scripts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import NamedTemporaryFile

from handssl.errors import InputError
from handssl.report.conclusions import (
    choices_part,
    effects_part,
    missing_part,
    order_part,
    summary_part,
)
from handssl.report.curves import learning_curves
from handssl.report.dot_plot import dot_plot
from handssl.report.effects import StudyEffects
from handssl.report.headline import summary
from handssl.report.html_table import html_table
from handssl.report.layout import MACHINE, lay_out
from handssl.report.order import order_check
from handssl.report.ranking import Ranking
from handssl.report.rows import Row
from handssl.report.sections import SEARCH, Section, sections
from handssl.report.style import CSS
from handssl.report.svg import element, figure, marker

# Defence in depth: even a value that was not escaped could not load anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_html(
    rows: Sequence[Row],
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    effects: StudyEffects | None = None,
    choices: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> None:
    """Write the page atomically.

    Args:
        rows: Rows of one study.
        path: Path of the file; its folder is created if it is missing.
        title: Title as plain text.
        facts: Settings and environment, name to plain text.
        effects: Effects of the transformations, if they were estimated.
        choices: Choices of the stages, in sentences.
        missing: Missing results and their reasons, in sentences.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = page(
            rows, title=title, facts=facts, effects=effects, choices=choices, missing=missing
        )
        _replace(path, text)
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
    choices: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> str:
    """Return the page as text.

    Args:
        rows: Rows of one study.
        title: Title as plain text.
        facts: Settings and environment, name to plain text.
        effects: Effects of the transformations, if they were estimated.
        choices: Choices of the stages, in sentences.
        missing: Missing results and their reasons, in sentences.

    Example:
        >>> "<script" in page([], title="<script>", facts={})
        False
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        summary_part(summary(rows)),
        *([choices_part(choices)] if choices else []),
        *([effects_part(effects)] if effects else []),
        *([missing_part(missing)] if missing else []),
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
    found = sections(rows)
    shown = [_section(section, number) for number, section in enumerate(found)]
    return [*shown, f'<p class="muted note">{MACHINE}</p>', order_part(order_check(rows))]


def _section(section: Section, number: int) -> str:
    parts = [
        f"<h2>{escape(section.title or 'Cells')}</h2>",
        html_table(lay_out(section), f"note-{number}"),
    ]
    # Points of a search share composition and objective: the figures could not distinguish them.
    if section.stage_kind != SEARCH:
        parts.append(_figures(section.ranking, "h3" if section.title else "h2"))
    else:
        parts.append(
            '<p class="muted note">No figures: points of a search share composition and objective.'
            "</p>"
        )
    return "\n".join(parts)


def _figures(ranking: Ranking, heading: str) -> str:
    cells = (*ranking.finished, *ranking.early)
    objectives = dict.fromkeys(c.first.objective for c in cells if c.first.kind == "trial")
    keys = "".join(map(_key, [*sorted(objectives), "early"]))
    several = " Small marks are the blocks." if len(ranking.blocks) > 1 else ""
    thin = " Thin curves are the blocks." if len(ranking.blocks) > 1 else ""
    return (
        f'<{heading}>Figures</{heading}>\n<p class="key">{keys}</p>'
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
            partial.chmod(0o644)  # the temporary file is private, the page is not
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
