"""Conclusions of a report as plain text, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from handssl.report.effects.words import lines
from handssl.report.published.part import published_lines

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport


class TextPart(NamedTuple):
    """Lines of text below a title; without lines the part is left out."""

    title: str
    lines: Callable[[StudyReport], Sequence[str]]


TEXT_PARTS: tuple[TextPart, ...] = (
    TextPart("Order", lambda found: str(found.order).splitlines() if found.order else ()),
    TextPart("Chosen", lambda found: found.choices),
    TextPart("Effects", lambda found: lines(found.effects) if found.effects else ()),
    TextPart("Features", lambda found: found.diagnosis.lines() if found.diagnosis else ()),
    TextPart("Published numbers", lambda found: published_lines(found.comparable)),
    TextPart("Missing", lambda found: found.missing.lines()),
)
"""All parts in their order; a new one is added here."""


def text_parts(found: StudyReport) -> list[tuple[str, list[str]]]:
    """Return the title and the lines of each part that has lines."""
    shown = [(part.title, list(part.lines(found))) for part in TEXT_PARTS]
    return [(title, lines) for title, lines in shown if lines]
