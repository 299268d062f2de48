"""Conclusions on the page of a study: choices, missing results and the order."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from handssl.report.causes import CAUSES
from handssl.report.html_table import plain_table
from handssl.report.order import BlockOrder, OrderCheck

if TYPE_CHECKING:
    from handssl.report.missing import Missing
    from handssl.study.stages import Selection


def choices_part(choices: Sequence[str]) -> str:
    """Return the section on the choices of the stages, one line per sentence."""
    items = "".join(f"<li>{escape(one)}</li>" for one in choices)
    return f'<h2>Choices of the stages</h2>\n<ul class="order">{items}</ul>'


def missing_part(found: Missing) -> str:
    """Return the section on missing results: counts by stage and cause, then one line each."""
    lines = found.lines()
    if not lines and not found.counts:
        return ""
    items = "".join(f"<li>{escape(one)}</li>" for one in lines)
    listed = f'<ul class="order">{items}</ul>' if items else ""
    return f"<h2>What is missing</h2>\n{_counts(found)}{listed}"


def _counts(found: Missing) -> str:
    if not found.counts:
        return ""
    rows = ([one.stage, *map(str, (one.trials, *one.by_cause))] for one in found.counts)
    return plain_table(("stage", "trials", *CAUSES), rows) + "\n"


def summary_part(sentences: Sequence[str]) -> str:
    """Return the first sentence as the headline and the others as a list below it."""
    first, *others = sentences
    items = "".join(f"<li>{escape(one)}</li>" for one in others)
    more = f'<ul class="order">{items}</ul>' if others else ""
    return f'<p class="headline">{escape(first)}</p>{more}'


def order_part(order: OrderCheck) -> str:
    """Return the section on the order in every block."""
    items = "".join(_order_item(block) for block in order.blocks)
    return (
        "<h2>Order: mean pose &gt; random encoder &gt; best self-supervised &gt; supervised</h2>\n"
        f'<p class="{order.word}">{escape(order.verdict)}</p>'
        f'<ul class="order">{items}</ul>'
    )


def _order_item(block: BlockOrder) -> str:
    select, _, test = str(block).partition("\n")
    body = select.removesuffix(f": {block.finding}")
    return (
        f"<li>{escape(body)}: {escape(block.finding)}"
        f'<br><span class="muted">{escape(test.strip())}</span></li>'
    )


def choices(selection: Selection) -> tuple[str, ...]:
    """Return a sentence for each choice of a stage, with its numbers.

    Args:
        selection: Choices of the stage.

    Example:
        >>> from handssl.study.stages import Selection
        >>> reason = "rotate: undecided (relative -11.6 mm, one seed)"
        >>> choices(Selection(stage="x", objective_of={"rotate": "relative"}, reasons=(reason,)))
        ('rotate: undecided (relative -11.6 mm, one seed)',)
    """
    if selection.compared:
        return selection.reasons
    chosen = "settings" if selection.settings else "best" if selection.best else "nothing chosen"
    return tuple(f"{selection.stage}, {chosen}: {reason}" for reason in selection.reasons)
