"""Tables and figures of each section of the page."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from handssl.report.figures.curves import learning_curves
from handssl.report.figures.dot_plot import dot_plot
from handssl.report.figures.effect_plot import effect_plot, half_normal
from handssl.report.figures.paired_differences import paired_differences
from handssl.report.figures.svg import element, figure, marker
from handssl.report.figures.upset import BEST, upset
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
    return "\n".join(["<h2>Figures</h2>", *filter(None, shown)]) if any(shown) else ""


def effect_figures_part(found: StudyReport) -> str:
    """Return the figures of the effects, below a title."""
    if not found.effects:
        return ""
    shown = captioned(
        "Effects and the strongest pairs: thick bars are the intervals for these seeds, thin lines "
        "those for seeds in general; filled marks have a Holm p-value below .05.",
        effect_plot(found.effects),
    )
    if contrasts := found.effects.contrasts:
        shown += captioned(
            f"All {len(contrasts)} effects of the grid by size: noise alone lies on a line through "
            "0; the largest are named.",
            half_normal(contrasts),
        )
    return f'<h2>Figures of the effects</h2>\n<div class="figures">\n{shown}\n</div>'


def _figures(found: StudyReport, section: Section) -> str:
    title = f"<h3>{escape(section.title)}</h3>\n" if section.title else ""
    if all(row.kind == "reference" for row in section.rows):
        return ""  # there is no cell to draw, and the table has the references
    # Points of a search share composition and objective: the figures could not distinguish them.
    if section.stage_kind == SEARCH:
        return (
            f'{title}<p class="muted note">No figures: points of a search share composition and '
            "objective.</p>"
        )
    shown = "\n".join(filter(None, (one(found, section) for one in SECTION_FIGURES)))
    return f'{title}{_key(section.ranking)}<div class="figures">\n{shown}\n</div>'


def _compositions(found: StudyReport, section: Section) -> str:
    if not _has_compositions(section.ranking):
        return ""
    shown, rest = min(BEST, len(section.ranking.trials)), len(section.ranking.trials) - BEST
    several = len(section.ranking.blocks) > 1
    words = " over the blocks, with the 95 % interval of each cell alone" if several else ""
    left = f" {rest} more cells are in the table." if rest > 0 else ""
    return captioned(
        f"The {shown} best cells by mean{words}; below each, the dots of its transformations; "
        "orange stands for the relative objective. Dashed lines are references within the range."
        f"{left}",
        upset(section.ranking),
        wide=True,
    )


def _has_compositions(ranking: Ranking) -> bool:
    """Return whether the cells are compared by what they are composed of."""
    several = [cell for cell in ranking.trials if "+" in cell.first.composition]
    return len(several) > 2


def _dot_plot(found: StudyReport, section: Section) -> str:
    if _has_compositions(section.ranking) and len(section.ranking.trials) > BEST:
        return ""  # the figure of compositions shows the best
    several = " Small marks are the blocks." if len(section.ranking.blocks) > 1 else ""
    return captioned(
        "The last median of every cell, both objectives of a composition on one line; dashed "
        f"lines are references.{several}",
        dot_plot(section.ranking),
    )


def _curves(found: StudyReport, section: Section) -> str:
    several = len(section.ranking.blocks) > 1
    band = " Bands are the range of the blocks of the best cells." if several else ""
    rungs = rungs_of(found, section)
    marked = f" Vertical lines are the rungs of halving: epochs {rungs[0]}" if rungs else ""
    marked += "".join(f", {epoch}" for epoch in rungs[1:]) + ("." if rungs else "")
    return captioned(
        f"Median after each epoch, on select. Curves of stopped trials end early.{band}{marked}",
        learning_curves(section.ranking, rungs),
    )


def _differences(found: StudyReport, section: Section) -> str:
    shown = [one for one in found.decisions if section.main and one.stage == section.stage]
    if not (content := paired_differences(shown)):
        return ""
    first, second = shown[0].decision.first, shown[0].decision.second
    return captioned(
        f"Error with the {first} minus that with the {second} objective, paired over seeds, with "
        "95 % intervals: below 0 the first has the lower error. Dashed: the margin of equivalence. "
        "Hollow marks are not decided.",
        content,
    )


SECTION_FIGURES: tuple[SectionFigure, ...] = (_differences, _compositions, _dot_plot, _curves)


def rungs_of(found: StudyReport, section: Section) -> tuple[int, ...]:
    """Return the epochs at which halving decides about trials of a section; empty without it."""
    from handssl.scheduling.halving.rules import Rules

    planned = found.planned
    grace, factor = planned.get("halving.grace_epochs"), planned.get("halving.reduction_factor")
    if not (grace and factor and grace.isdecimal()) or section.first.epochs < 1:
        return ()
    rules = Rules(
        epochs=section.first.epochs, grace_epochs=int(grace), reduction_factor=float(factor)
    )
    return tuple(one for one in rules.rungs if one < section.first.epochs)


def captioned(caption: str, content: str, *, wide: bool = False) -> str:
    """Return a figure with its caption as plain text above the content.

    Args:
        caption: Caption as plain text.
        content: Content as HTML.
        wide: Whether the figure takes the whole width of the page; wider ones scroll in it.
    """
    if wide:
        content = f'<div class="wide" tabindex="0">{content}</div>'
    kind = " class=whole" if wide else ""
    return f"<figure{kind}><figcaption>{escape(caption)}</figcaption>{content}</figure>"


def _key(ranking: Ranking) -> str:
    cells = (*ranking.finished, *ranking.early)
    objectives = sorted({c.first.objective for c in cells if c.first.kind == "trial"})
    return f'<p class="key">{"".join(map(_key_item, [*objectives, "early"]))}</p>'


def _key_item(name: str) -> str:
    label = "ended early" if name == "early" else name
    sign = figure(14, 14, label, [marker(7, 7, f"dot-key dot {name}", label)])
    return element("span", sign + escape(label))
