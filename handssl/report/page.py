"""HTML page of a study: a single file without network access or scripts."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from handssl.report.conclusions import (
    choices_part,
    missing_part,
    order_part,
    summary_part,
)
from handssl.report.diagnostics.part import diagnostics_part
from handssl.report.effects.section import effects_part
from handssl.report.figures.transformations import transformations_part
from handssl.report.headline import summary
from handssl.report.predictions.part import predictions_part
from handssl.report.published.part import published_part
from handssl.report.section_parts import effect_figures_part, figures_part, tables_part
from handssl.report.style import CSS

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport

Part = Callable[["StudyReport"], str]
"""A part of the page: HTML with everything escaped, or an empty string if it has no content."""

ANSWERS: tuple[Part, ...] = (
    lambda found: summary_part(summary(found.rows)),
    lambda found: choices_part(found.choices) if found.choices else "",
    lambda found: effects_part(found.effects) if found.effects else "",
    lambda found: order_part(found.order) if found.order else "",
    lambda found: missing_part(found.missing),
)
"""Sentences, each with a number and an interval."""
TABLES: tuple[Part, ...] = (tables_part, lambda found: published_part(found.comparable))
FIGURES: tuple[Part, ...] = (
    effect_figures_part,
    figures_part,
    lambda found: diagnostics_part(found.diagnosis),
    transformations_part,
    predictions_part,
)
DETAILS: tuple[Part, ...] = (lambda found: _settings(found),)
PARTS: tuple[Part, ...] = (*ANSWERS, *TABLES, *FIGURES, *DETAILS)
"""All parts of the page in their order; a new one is added to one of the lists above."""

# Defence in depth: even a value that was not escaped could not load anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(found: StudyReport) -> str:
    """Return the page of a study as text.

    Args:
        found: Report of the study.

    Example:
        >>> from pathlib import Path
        >>> from handssl.report.study_report import StudyReport
        >>> "<script" in page(StudyReport("<script>", Path("runs"), "sqlite:///runs/mlflow.db"))
        False
    """
    title = escape(f"Study {found.study}")
    parts = [f"<h1>{title}</h1>", *filter(None, (part(found) for part in PARTS))]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<link rel="icon" href="data:,"><title>{title}</title>\n'
        f"<style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _settings(found: StudyReport) -> str:
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in found.facts.items()
    )
    return f"<h2>Settings and environment</h2>\n<dl>{facts}</dl>"
