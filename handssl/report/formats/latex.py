"""Tables of a study's report for LaTeX, with the rules of package booktabs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from handssl.report.effects import describe
from handssl.report.headline import summary
from handssl.report.layout import EARLY_TITLE, NUMERIC, UNITS, Layout, Line, folded, lay_out
from handssl.report.sections import sections

if TYPE_CHECKING:
    from handssl.report.effects import StudyEffects
    from handssl.report.study_report import StudyReport

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "·": r"\textperiodcentered{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_LEFT_OUT = ("#", "epoch")


def latex(found: StudyReport) -> str:
    r"""Return the tables of a report, to be read by \input; they need package booktabs.

    Long tables have the best cells and the references, as on the page.

    Args:
        found: Report of the study.

    Example:
        >>> from pathlib import Path
        >>> from handssl.report.study_report import StudyReport
        >>> print(latex(StudyReport("first", Path("runs"), "sqlite://")).splitlines()[-1])
        % No trial has finished yet.
    """
    head = [
        f"Study {found.study}, written by handssl {found.facts.get('page written', '')}.",
        r"Needs \usepackage{booktabs,graphicx}.",
        *summary(found.rows),
    ]
    tables = [
        _section(found.study, lay_out(section), number)
        for number, section in enumerate(sections(found.rows), start=1)
    ]
    effects = [_effects(found.study, found.effects)] if found.effects else []
    return "\n\n".join(["\n".join(map(_comment, head)), *effects, *tables]) + "\n"


def escape(text: str) -> str:
    r"""Return plain text for LaTeX; characters that pdfTeX lacks lose their accents or become `?`.

    Example:
        >>> escape("50 % of color_jitter")
        '50 \\% of color\\_jitter'
    """
    return "".join(_SPECIAL.get(one) or _ascii(one) for one in text)


def _ascii(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(_SPECIAL.get(one, one) for one in plain) or "?"


def _comment(line: str) -> str:
    return "% " + re.sub(r"\s+", " ", line)


def _section(study: str, layout: Layout, number: int) -> str:
    shown, rest = folded(layout)
    dropped = len(rest.finished) + len(rest.early) if rest else 0
    chosen = [
        n for n, title in enumerate(layout.columns) if title not in (*_LEFT_OUT, layout.per_block)
    ]
    titles = [layout.columns[n] for n in chosen]
    lines = [_line(line, chosen) for line in shown.finished]
    if shown.early:
        words = escape(EARLY_TITLE)
        lines += [r"\midrule", rf"\multicolumn{{{len(titles)}}}{{l}}{{{words}}} \\"]
        lines += [_line(line, chosen) for line in shown.early]
    notes = [
        f"Study {study}{f', {layout.title}' if layout.title else ''}.",
        UNITS,
        layout.note,
        f"{dropped} more cells are not shown." if dropped else "",
    ]
    caption = " ".join(filter(None, notes))
    return table(titles, lines, caption=caption, label=f"{study}-{number}")


def _line(line: Line, chosen: Sequence[int]) -> str:
    cells = [escape(line.cells[n]) for n in chosen]
    if line.kind == "reference":
        cells = [rf"\textit{{{one}}}" if one else "" for one in cells]
    return " & ".join(cells) + r" \\"


def _effects(study: str, found: StudyEffects) -> str:
    lines = [
        rf"{escape(effect.name)} & {escape(describe(effect))} \\"
        for effect in found.effects.values()
    ]
    caption = (
        f"Study {study}: mean change of the median error on select when a transformation is "
        f"switched on, in mm, with 95 % intervals; below 0 it helps ({found.method})."
    )
    titles = ["transformation", "effect with interval"]
    return table(titles, lines, caption=caption, label=f"{study}-effects")


def table(titles: Sequence[str], lines: Sequence[str], *, caption: str, label: str) -> str:
    """Return a floating table.

    Args:
        titles: Titles of the columns as plain text.
        lines: Rows in LaTeX, each with its end.
        caption: Caption as plain text.
        label: Label after `tab:`; characters other than letters, digits and hyphens are replaced.
    """
    columns = "".join("r" if title in NUMERIC else "l" for title in titles)
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', label)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(escape, titles)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
        ]
    )
