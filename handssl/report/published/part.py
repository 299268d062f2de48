"""Published numbers on the page of a study and as plain text."""

from __future__ import annotations

from html import escape

from handssl.report.html_table import plain_table
from handssl.report.published.matching import Beside, Comparable
from handssl.report.published.numbers import OTHERWISE, SOURCES

_TITLES = ("cell", "seeds", "mean, mm", "published", "median, mm", "published")


def published_part(found: Comparable | None) -> str:
    """Return the numbers side by side, or the sentence that says why there are none."""
    if found is None:
        return ""
    title = "<h2>Published numbers</h2>"
    if not found.rows:
        return f'{title}\n<p class="note">{escape(found.sentence)}</p>'
    note = f'<p class="muted note" id="published-note">{escape(notes(found))}</p>'
    rows = ([one.label, str(one.seeds), *values(one)] for one in found.rows)
    return f"{title}\n{plain_table(_TITLES, rows, described_by='published-note')}\n{note}"


def published_lines(found: Comparable | None) -> tuple[str, ...]:
    """Return the numbers as sentences, for the terminal and for Markdown."""
    if found is None:
        return ()
    if not found.rows:
        return (found.sentence,)
    lines = []
    for one in found.rows:
        mean, published_mean, median, published_median = values(one)
        lines.append(
            f"{one.label}: mean {mean} mm (published {published_mean}), "
            f"median {median} mm (published {published_median})"
        )
    return (*lines, notes(found))


def values(one: Beside) -> tuple[str, str, str, str]:
    """Return our mean, the published one, our median, the published one."""
    median = one.published.median_mm
    return (
        f"{one.mean_mm:.1f}",
        f"{one.published.mean_mm:.1f}",
        f"{one.median_mm:.1f}",
        "–" if median is None else f"{median:.1f}",
    )


def notes(found: Comparable) -> str:
    """Return the measure, the sources and what still differs."""
    first = found.rows[0].published
    sources = {one.published.source: one.published.where for one in found.rows}
    named = "; ".join(f"{SOURCES[source]}, {where}" for source, where in sources.items())
    return (
        f"Errors on test of the same split, images and crop boxes, protocol "
        f"{first.conditions.measure}, means over seeds. {OTHERWISE} Source: {named}."
    )
