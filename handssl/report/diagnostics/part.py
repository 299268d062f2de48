"""Part of the page about the diagnostics of features, beside the errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from handssl.report.diagnostics.answers import (
    TITLES,
    AskedProperty,
    Diagnosis,
    ErrorCorrelation,
    interval,
)
from handssl.report.diagnostics.cells import MEASURES
from handssl.report.figures.axes import WIDTH, bottom_axis, line_name, lines_scale
from handssl.report.figures.svg import element, figure, line, marker
from handssl.report.html_table import plain_table
from handssl.report.section_parts import captioned

_LINE_HEIGHT, _TOP = 24, 10
_ASKED = (
    "Equivariance: R2 of a linear read-out of the relative transformation from two views, 1 if "
    "features determine it. Invariance: 1 if views of an image coincide, 0 if they differ as much "
    "as different images. On held-out images, one transformation at a time. Yes or no: the 95 % "
    "interval of the difference to the random encoder of the same seed, over seeds."
)
_ERRORS = (
    "Rank correlation between trained cells of a property and the median error on select, the mean "
    "over seeds: below 0, cells with more of it have the lower error. Undecided unless the 95 % "
    "intervals for other seeds and for other cells both exclude 0; each holds for its line alone. "
    "A correlation between cells is no proof of a cause."
)


def diagnostics_part(found: Diagnosis | None) -> str:
    """Return tables and figure of the diagnostics; empty where none were recorded."""
    if found is None or not (found.properties or found.correlations):
        return ""
    parts = ["<h2>Features: what was asked for, and the error</h2>"]
    if found.properties:
        titles = ("asked for", "cells", "where asked", "other cells", "random encoder")
        rows = map(_property, found.properties)
        columns = (*titles, "minus random", "became so")
        parts += _noted(columns, rows, "became so", _ASKED, "asked-note")
    if found.correlations:
        parts.append(_correlations(found.correlations))
    return "\n".join(parts)


def _noted(
    titles: Sequence[str], rows: Iterable[Sequence[str]], word: str, note: str, name: str
) -> list[str]:
    """Return a table whose last column is a word, and its note."""
    table = plain_table(titles, rows, words=(word,), described_by=name)
    return [table, f'<p class="muted note" id="{name}">{escape(note)}</p>']


def _property(one: AskedProperty) -> list[str]:
    values = [number(value) for value in (one.asked, one.others, one.random)]
    named = f"{TITLES[one.measure]}, {one.transformation}"
    return [named, str(one.cells), *values, one.reason, one.word]


def _correlations(found: Sequence[ErrorCorrelation]) -> str:
    titles = ("property", "rank correlation", "other seeds", "other cells", "goes with")
    table = "\n".join(
        _noted(titles, map(_correlation, found), "goes with", _ERRORS, "correlations-note")
    )
    caption = (
        "Rank correlation of each property with the error: thick bars are the intervals for other "
        "seeds, thin lines those for other cells; filled marks are decided."
    )
    return f'{table}\n<div class="figures">\n{captioned(caption, correlation_plot(found))}\n</div>'


def _correlation(one: ErrorCorrelation) -> list[str]:
    found = one.found
    named = f"{TITLES[one.measure]}, {one.transformation}"
    ends = (interval(found.seeds), interval(found.cells))
    return [named, f"{found.rho:+.2f}", *ends, one.word]


def correlation_plot(found: Sequence[ErrorCorrelation]) -> str:
    """Return the rank correlations with both intervals as an svg element.

    Args:
        found: Correlations, at least one.
    """
    names = [f"{MEASURES[one.measure]} to {one.transformation}" for one in found]
    scale = lines_scale([-1.0, 1.0], names)
    bottom = _TOP + _LINE_HEIGHT * len(found)
    title = "rank correlation with the error (below 0: lower error)"
    parts = bottom_axis(scale, bottom, title, top=_TOP)
    parts.append(line(scale(0.0), _TOP, scale(0.0), bottom, "pair"))
    for index, (name, one) in enumerate(zip(names, found, strict=True)):
        y = _TOP + _LINE_HEIGHT * (index + 0.5)
        parts.append(line_name(name, scale, y))
        (low, high), (least, most) = one.found.seeds, one.found.cells
        parts.append(line(scale(least), y, scale(most), y, "pair"))
        if low < high:
            wide = scale(high) - scale(low)
            parts.append(
                element("rect", x=scale(low), y=y - 4, width=wide, height=8, class_="block")
            )
        state = "" if one.found.is_decided else " early"
        parts.append(marker(scale(one.found.rho), y, f"dot{state}", str(one), radius_px=4))
    label = f"Rank correlations of {len(found)} properties of features with the error"
    return figure(WIDTH, bottom + 40, label, parts)


def number(value: float) -> str:
    """Return a measure with two digits; a dash without a value."""
    return "–" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # no -0.00
