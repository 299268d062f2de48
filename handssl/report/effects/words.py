"""Effects in words and as JSON values, always with both readings of their intervals."""

from __future__ import annotations

import math
from typing import Any

from handssl.report.effects.of_rows import StudyEffects
from handssl.stats.anova import OrderShare
from handssl.stats.contrasts import Effect

THESE, GENERAL = "these seeds", "seeds in general"
AVERAGES = "Main effects are means over all compositions of the other transformations."
_ORDERS = ("main effects", "pairs", "triples")


def describe(effect: Effect) -> str:
    """Format an effect with both of its intervals.

    Example:
        >>> describe(Effect("blur", -1.234, -2.0, -0.5, 4))
        '-1.23 mm (these seeds -2.00 to -0.50; seeds in general undecided: one seed)'
    """
    if math.isnan(effect.mm):
        return f"confounded with {', '.join(effect.aliases)}"
    p = f", Holm p {p_value(effect.holm)}" if math.isfinite(effect.holm) else ""
    return f"{effect.mm:+.2f} mm ({THESE} {here(effect)}; {GENERAL} {general(effect)}{p})"


def here(effect: Effect) -> str:
    """Return the interval for these seeds, or `exact` if every trial was completed."""
    if effect.high - effect.low < 1e-9:
        return "exact"
    return _interval(effect.low, effect.high) or "unknown: too few trials"


def general(effect: Effect) -> str:
    """Return the interval for seeds in general."""
    return _interval(effect.seeds_low, effect.seeds_high) or "undecided: one seed"


def bounds(effect: Effect) -> str:
    """Return the bounds of an estimate with missing trials."""
    return _interval(*effect.bounds)


def p_value(p: float) -> str:
    """Format a p-value.

    Example:
        >>> p_value(0.0004), p_value(0.0312)
        ('< .001', '.031')
    """
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def lines(found: StudyEffects) -> tuple[str, ...]:
    """Return the effects for terminal and Markdown, one per line, below a title."""
    shown = [one for one in found.pairs.values() if math.isfinite(one.mm)]
    mixed = len(found.pairs) - len(shown)
    return (
        "Effect on the median error on select, 95 % intervals for these seeds and for seeds in "
        f"general; below 0 it helps ({found.method})",
        *(f"  {one.name}: {_bounded(one, found)}" for one in found.effects.values()),
        *(["Pairs: half of the change that one makes to the effect of the other"] if shown else []),
        *(f"  {one.name}: {_bounded(one, found)}" for one in shown[:_SHOWN]),
        *([f"  and {len(shown) - _SHOWN} smaller ones"] if len(shown) > _SHOWN else []),
        *([f"  {mixed} pairs cannot be told from other effects (--json)"] if mixed else []),
        *([f"{AVERAGES} {explained(found.orders)}"] if found.orders else []),
    )


_SHOWN = 6


def _bounded(effect: Effect, found: StudyEffects) -> str:
    extra = f"; with missing trials at the extremes {bounds(effect)}" if found.lacks else ""
    return describe(effect) + extra


def explained(orders: tuple[OrderShare, ...]) -> str:
    """Return how much of the differences between compositions each order explains."""
    parts = [f"{order_name(one.order)} {100 * one.share:.0f} %{_tested(one)}" for one in orders]
    return f"Of the variance between compositions they explain: {', '.join(parts)}."


def order_name(order: int) -> str:
    """Return the name of the effects of so many transformations."""
    return _ORDERS[order - 1] if order <= len(_ORDERS) else f"{order}-fold"


def _tested(one: OrderShare) -> str:
    return f" (p {p_value(one.p)})" if math.isfinite(one.p) else ""


def _interval(low: float, high: float) -> str:
    known = math.isfinite(low) and math.isfinite(high)
    return f"{low:+.2f} to {high:+.2f}" if known else ""


def document(found: StudyEffects) -> dict[str, Any]:
    """Return the effects as JSON values."""
    return {
        "method": found.method,
        "blocks": found.blocks,
        "main": {name: _values(one, found) for name, one in found.effects.items()},
        "pairs": {name: _values(one, found) for name, one in found.pairs.items()},
        "anova": [
            {key: _finite(value) for key, value in vars(one).items()} for one in found.orders
        ],
    }


def _values(one: Effect, found: StudyEffects) -> dict[str, Any]:
    return {
        "mm": _finite(one.mm),
        "these_seeds": _pair(one.low, one.high),
        "seeds_in_general": _pair(one.seeds_low, one.seeds_high),
        "simultaneous": _pair(*one.together),
        "p": _finite(one.p),
        "p_holm": _finite(one.holm),
        "p_holm_moderated": _finite(one.holm_moderated),
        "bounds": _pair(*one.bounds) if found.lacks else None,
        "aliases": list(one.aliases),
    }


def _pair(low: float, high: float) -> list[float] | None:
    return [low, high] if math.isfinite(low) and math.isfinite(high) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
