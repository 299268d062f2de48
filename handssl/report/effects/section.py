"""Effects on the page of a study: tables of main effects and pairs, and how much they explain."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from handssl.report.effects.of_rows import StudyEffects
from handssl.report.effects.words import (
    AVERAGES,
    bounds,
    explained,
    general,
    here,
    p_value,
)
from handssl.stats.contrasts import Effect

_MEANING = (
    "Mean change of the median error on select where a transformation is on, over all compositions "
    "of the others; below 0 it helps. For these seeds: what complete runs of all compositions "
    "would have given in these blocks; for seeds in general: from the spread over blocks, "
    "on full grids drawn towards that of the table's other effects. Holm's p-values are for the "
    "whole table, from each effect's own spread."
)


def effects_part(found: StudyEffects) -> str:
    """Return the section on the effects of the transformations."""
    alone = "" if found.blocks > 1 else " One block gives no interval for seeds in general."
    note = f"{_MEANING} Estimate: {found.method}.{alone}"
    return "\n".join(
        [
            "<h2>Effects of the transformations</h2>",
            _table("transformation", found.effects.values(), found, "effects-note"),
            f'<p class="muted note" id="effects-note">{escape(note + _bounded(found))}</p>',
            _explained(found),
            _pairs(found),
        ]
    )


def _bounded(found: StudyEffects) -> str:
    if not found.lacks:
        return ""
    return " Bounds: every missing trial at the lowest or the highest error seen in its block."


def _explained(found: StudyEffects) -> str:
    text = f"{AVERAGES} {explained(found.orders)}" if found.orders else AVERAGES
    return f'<p class="note">{escape(text)}</p>'


def _pairs(found: StudyEffects) -> str:
    if not found.pairs:
        return ""
    note = (
        "Half of the change that one makes to the effect of the other. A pair that the skeletons "
        "cannot tell from other effects has no value; the others are named."
    )
    return (
        f"<details><summary>Pairs of transformations</summary>\n"
        f"{_table('pair', found.pairs.values(), found, 'pairs-note')}\n"
        f'<p class="muted note" id="pairs-note">{escape(note)}</p></details>'
    )


def _table(title: str, effects: Iterable[Effect], found: StudyEffects, note: str) -> str:
    titles = ["effect, mm", "95 % interval, these seeds", "95 % interval, seeds in general"]
    titles += ["Holm p", *(["bounds"] if found.lacks else [])]
    head = "".join(f'<th class="number" scope=col>{one}</th>' for one in titles)
    body = "\n".join(_row(one, len(titles), lacks=found.lacks) for one in effects)
    return (
        f'<div class="wide" tabindex="0"><table class="cells" aria-describedby="{note}"><thead><tr>'
        f"<th scope=col>{title}</th>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _row(one: Effect, columns: int, *, lacks: bool) -> str:
    name = f"<td>{escape(one.name)}</td>"
    if math.isnan(one.mm):
        mixed = escape(f"confounded with {', '.join(one.aliases)}")
        return f'<tr class="trial">{name}<td class="muted" colspan={columns}>{mixed}</td></tr>'
    p = p_value(one.holm) if math.isfinite(one.holm) else "–"
    values = [f"{one.mm:+.2f}", here(one), general(one), p, *([bounds(one)] if lacks else [])]
    cells = "".join(f'<td class="number">{escape(value)}</td>' for value in values)
    return f'<tr class="trial">{name}{cells}</tr>'
