"""Figures of effects: both intervals of each, and all contrasts of a grid on half-normal axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from handssl.report.effects.of_rows import StudyEffects
from handssl.report.effects.words import describe
from handssl.report.figures.svg import (
    Scale,
    element,
    figure,
    line,
    marker,
    padded_scale,
    spread,
    text,
)
from handssl.stats.contrasts import Effect

WIDTH = 480
_LINE_HEIGHT, _CHARACTER_WIDTH, _TOP, _PLOT_HEIGHT = 24, 7.4, 10, 300
_LONGEST_NAME, _MOST_PAIRS, _NAMED = 26, 10, 4


def effect_plot(found: StudyEffects) -> str:
    """Return the main effects and the strongest pairs as an svg element.

    Thick bars are the intervals for these seeds, thin lines those for seeds in general; filled
    marks have a Holm p-value below .05. The solid line is 0.

    Args:
        found: Effects of a study.
    """
    pairs = [one for one in found.pairs.values() if math.isfinite(one.mm)][:_MOST_PAIRS]
    shown = [*found.effects.values(), *pairs]
    ends = [e for o in shown for e in (o.mm, o.low, o.high, o.seeds_low, o.seeds_high)]
    longest = max(len(_short(one.name)) for one in shown)
    values = [0.0, *(end for end in ends if math.isfinite(end))]
    scale = padded_scale(values, _CHARACTER_WIDTH * longest + 24, WIDTH - 30)
    bottom = _TOP + _LINE_HEIGHT * len(shown)
    parts = _across(scale, bottom, "effect on the median error on select, mm (below 0 helps)")
    parts.append(line(scale(0.0), _TOP, scale(0.0), bottom, "pair"))
    for index, one in enumerate(shown):
        parts += _effect(one, scale, _TOP + _LINE_HEIGHT * (index + 0.5))
    label = f"Effects of {len(found.effects)} transformations and {len(pairs)} pairs in mm"
    return figure(WIDTH, bottom + 40, label, parts)


def _effect(one: Effect, scale: Scale, y: float) -> list[str]:
    parts = [text(_short(one.name), scale.start - 14, y + 4, anchor="end", class_="name")]
    if math.isfinite(one.seeds_low):
        parts.append(line(scale(one.seeds_low), y, scale(one.seeds_high), y, "pair"))
    if math.isfinite(one.low) and one.high > one.low:
        x, width = scale(one.low), scale(one.high) - scale(one.low)
        parts.append(element("rect", x=x, y=y - 4, width=width, height=8, class_="block"))
    state = "" if one.holm < 0.05 else " early"
    hint = f"{one.name}: {describe(one)}"
    return [*parts, marker(scale(one.mm), y, f"dot{state}", hint, radius_px=4)]


def half_normal(contrasts: Mapping[str, float]) -> str:
    """Return the absolute effects of a grid over half-normal quantiles as an svg element.

    Effects that are noise alone lie on a line through 0; those above it at the right end are real.

    Args:
        contrasts: All effects of a grid in mm, by name.

    Reference:
        C. Daniel, "Use of half-normal plots in interpreting factorial two-level experiments",
        Technometrics 1959.
    """
    ordered = sorted(contrasts, key=lambda name: abs(contrasts[name]))
    normal, count = NormalDist(), len(ordered)
    quantiles = [normal.inv_cdf(0.5 + 0.5 * (i + 0.5) / count) for i in range(count)]
    high = max(abs(contrasts[ordered[-1]]), 1e-9)
    across = Scale(0.0, quantiles[-1] * 1.05, 44, WIDTH - 20)
    up = Scale(0.0, high * 1.08, _TOP + _PLOT_HEIGHT, _TOP)
    parts = _across(across, _TOP + _PLOT_HEIGHT, "half-normal quantile")
    for tick in up.ticks(5):
        parts.append(line(across.start, up(tick), across.end, up(tick), "grid"))
        parts.append(text(f"{tick:g}", 36, up(tick) + 4, anchor="end", class_="tick"))
    parts += [
        marker(across(q), up(abs(mm)), "block", f"{name}: {mm:+.2f} mm", radius_px=3)
        for q, name in zip(quantiles, ordered, strict=True)
        for mm in (contrasts[name],)
    ]
    parts += _names(ordered[-_NAMED:], quantiles[-_NAMED:], contrasts, across, up)
    label = f"Half-normal plot of {count} effects in mm"
    return figure(WIDTH, _TOP + _PLOT_HEIGHT + 40, label, parts)


def _names(
    names: Sequence[str],
    quantiles: Sequence[float],
    contrasts: Mapping[str, float],
    across: Scale,
    up: Scale,
) -> list[str]:
    """Return the names of the largest effects left of their marks, moved apart."""
    places = spread([up(abs(contrasts[name])) for name in names], 15, _TOP + 8, up.start - 4)
    return [
        text(_short(name), across(q) - 10, y + 4, anchor="end", class_="value halo")
        for name, q, y in zip(names, quantiles, places, strict=True)
    ]


def _across(scale: Scale, bottom: float, title: str) -> list[str]:
    """Return a horizontal axis with its title."""
    parts = []
    for tick in scale.ticks(6):
        parts.append(line(scale(tick), _TOP, scale(tick), bottom, "grid"))
        parts.append(text(f"{tick:g}", scale(tick), bottom + 16, anchor="middle", class_="tick"))
    middle = (scale.start + scale.end) / 2
    return [*parts, text(title, middle, bottom + 34, anchor="middle", class_="tick")]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
