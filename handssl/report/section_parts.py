"""Tables and figures of each section of the page."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from handssl.report.figures.curves import learning_curves
from handssl.report.figures.dot_plot import dot_plot
from handssl.report.figures.svg import element, figure, marker
from handssl.report.files import files_part
from handssl.report.html_table import html_table
from handssl.report.layout import MACHINE, lay_out
from handssl.report.ranking import Ranking
from handssl.report.sections import SEARCH, Section, sections

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport

SectionFigure = Callable[["StudyReport", Section], str]
"""A figure of a section: a `figure` element, or an empty string if it has no content."""


def tables_part(found: StudyReport) -> str:
    """Return the table of each section, below its title."""
    if not found.rows:
        return ""
    tables = [
        f"<h2>{escape(section.title or 'Cells')}</h2>\n"
        f"{html_table(lay_out(section), f'note-{n}')}\n{files_part(found, section)}"
        for n, section in enumerate(sections(found.rows))
    ]
    return "\n".join([*tables, f'<p class="muted note">{MACHINE}</p>'])


def figures_part(found: StudyReport) -> str:
    """Return the figures of each section, below its title."""
    shown = [_figures(found, section) for section in sections(found.rows)]
    return "\n".join(["<h2>Figures</h2>", *shown]) if shown else ""


def _figures(found: StudyReport, section: Section) -> str:
    title = f"<h3>{escape(section.title)}</h3>\n" if section.title else ""
    # Points of a search share composition and objective: the figures could not distinguish them.
    if section.stage_kind == SEARCH:
        return (
            f'{title}<p class="muted note">No figures: points of a search share composition and '
            "objective.</p>"
        )
    shown = "\n".join(filter(None, (one(found, section) for one in SECTION_FIGURES)))
    return f'{title}{_key(section.ranking)}<div class="figures">\n{shown}\n</div>'


def _dot_plot(found: StudyReport, section: Section) -> str:
    several = " Small marks are the blocks." if len(section.ranking.blocks) > 1 else ""
    return captioned(
        "The last median of every cell, both objectives of a composition on one line; dashed "
        f"lines are references.{several}",
        dot_plot(section.ranking),
    )


def _curves(found: StudyReport, section: Section) -> str:
    thin = " Thin curves are the blocks." if len(section.ranking.blocks) > 1 else ""
    return captioned(
        f"Median after each epoch, on select. Curves of stopped trials end early.{thin}",
        learning_curves(section.ranking),
    )


SECTION_FIGURES: tuple[SectionFigure, ...] = (_dot_plot, _curves)


def captioned(caption: str, content: str) -> str:
    """Return a figure with its caption as plain text above the content."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{content}</figure>"


def _key(ranking: Ranking) -> str:
    cells = (*ranking.finished, *ranking.early)
    objectives = sorted({c.first.objective for c in cells if c.first.kind == "trial"})
    return f'<p class="key">{"".join(map(_key_item, [*objectives, "early"]))}</p>'


def _key_item(name: str) -> str:
    label = "ended early" if name == "early" else name
    sign = figure(14, 14, label, [marker(7, 7, f"dot-key dot {name}", label)])
    return element("span", sign + escape(label))
