"""Figures of effects: both intervals of each, and all contrasts of a grid on half-normal axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from handssl.report.effects.of_rows import StudyEffects
from handssl.report.effects.words import describe
from handssl.report.figures.axes import (
    WIDTH,
    bottom_axis,
    left_axis,
    line_name,
    lines_scale,
    shortened,
)
from handssl.report.figures.svg import (
    Scale,
    element,
    figure,
    line,
    marker,
    spread,
    text,
)
from handssl.stats.contrasts import Effect

_LINE_HEIGHT, _TOP, _PLOT_HEIGHT = 24, 10, 300
_MOST_PAIRS, _NAMED = 10, 4


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
    values = [0.0, *(end for end in ends if math.isfinite(end))]
    scale = lines_scale(values, [one.name for one in shown])
    bottom = _TOP + _LINE_HEIGHT * len(shown)
    title = "effect on the median error on select, mm (below 0 helps)"
    parts = bottom_axis(scale, bottom, title, top=_TOP)
    parts.append(line(scale(0.0), _TOP, scale(0.0), bottom, "pair"))
    for index, one in enumerate(shown):
        parts += _effect(one, scale, _TOP + _LINE_HEIGHT * (index + 0.5))
    label = f"Effects of {len(found.effects)} transformations and {len(pairs)} pairs in mm"
    return figure(WIDTH, bottom + 40, label, parts)


def _effect(one: Effect, scale: Scale, y: float) -> list[str]:
    parts = [line_name(one.name, scale, y)]
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
    parts = bottom_axis(across, _TOP + _PLOT_HEIGHT, "half-normal quantile", top=_TOP)
    parts += left_axis(up, across.start, across.end, count=5)
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
        text(shortened(name), across(q) - 10, y + 4, anchor="end", class_="value halo")
        for name, q, y in zip(names, quantiles, places, strict=True)
    ]
