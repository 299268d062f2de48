"""Conclusions on the page of a study: choices, missing results, effects and the order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from handssl.report.effects import StudyEffects
from handssl.report.order import BlockOrder, OrderCheck
from handssl.stats.contrasts import Effect

if TYPE_CHECKING:
    from handssl.study.stages import Selection


def choices_part(choices: Sequence[str]) -> str:
    """Return the section on the choices of the stages, one line per sentence."""
    items = "".join(f"<li>{escape(one)}</li>" for one in choices)
    return f'<h2>Choices of the stages</h2>\n<ul class="order">{items}</ul>'


def missing_part(lines: Sequence[str]) -> str:
    """Return the section on missing results and their reasons, one line per sentence."""
    items = "".join(f"<li>{escape(one)}</li>" for one in lines)
    return f'<h2>What is missing</h2>\n<ul class="order">{items}</ul>'


def effects_part(found: StudyEffects) -> str:
    """Return the section with the table of the transformations' effects."""
    body = "".join(
        f'<tr class="trial"><td>{escape(one.name)}</td><td class="number">{one.mm:+.2f}</td>'
        f'<td class="number">{_interval(one)}</td></tr>'
        for one in found.effects.values()
    )
    about = f" for {found.holds_for}" if found.holds_for else ""
    return (
        "<h2>Effects of the transformations</h2>\n"
        '<div class="wide" tabindex="0"><table class="cells" aria-describedby="effects-note">'
        "<thead><tr>"
        '<th scope=col>transformation</th><th class="number" scope=col>effect, mm</th>'
        f'<th class="number" scope=col>95 % interval{escape(about)}</th>'
        f"</tr></thead>\n<tbody>{body}</tbody>"
        '</table></div>\n<p class="muted note" id="effects-note">Mean change of the median error '
        "on select when a transformation is switched on, over all compositions of the others; "
        f"below 0 it helps. Estimate: {escape(found.method)}{_without(found)}.</p>"
    )


def _without(found: StudyEffects) -> str:
    return "" if found.holds_for else "; one block gives no interval"


def _interval(one: Effect) -> str:
    return f"{one.low:+.2f} to {one.high:+.2f}" if math.isfinite(one.low) else "undecided: one seed"


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
