"""Figure of the paired differences between both arms of each transformation."""

from __future__ import annotations

from collections.abc import Sequence

from handssl.report.decisions import ObjectiveDecision
from handssl.report.figures.axes import WIDTH, bottom_axis, line_name, lines_scale
from handssl.report.figures.svg import Scale, figure, line, marker, text

_LINE_HEIGHT, _TOP = 40, 26


def paired_differences(found: Sequence[ObjectiveDecision]) -> str:
    """Return the figure as an svg element; empty without an interval.

    A line for each transformation: the mean difference over seeds with its 95 % interval, below 0
    where the first arm has the lower error. The solid line is 0, dashed ones are the margins.

    Args:
        found: Decisions of one stage.
    """
    shown = [one for one in found if one.decision.low is not None]
    if not shown:
        return ""
    scale, margins = _scale(shown), _margins(shown)
    bottom = _TOP + _LINE_HEIGHT * len(shown)
    parts = bottom_axis(scale, bottom, "difference of the median error on select, mm", top=_TOP)
    parts += [line(scale(mm), _TOP, scale(mm), bottom, "reference") for mm in margins]
    parts.append(line(scale(0.0), _TOP, scale(0.0), bottom, "pair"))
    for index, one in enumerate(shown):
        parts += _difference(one, scale, _TOP + _LINE_HEIGHT * (index + 0.5))
    label = f"Paired differences of {len(shown)} transformations in mm, with 95 % intervals"
    return figure(WIDTH, bottom + 40, label, parts)


def _margins(shown: Sequence[ObjectiveDecision]) -> list[float]:
    margins = {one.decision.margin_mm for one in shown} - {0.0}
    return sorted(sign * mm for mm in margins for sign in (-1, 1))


def _scale(shown: Sequence[ObjectiveDecision]) -> Scale:
    ends = [end for one in shown for end in (one.decision.low, one.decision.high, one.decision.mm)]
    values = [0.0, *_margins(shown), *(end for end in ends if end is not None)]
    return lines_scale(values, [one.name for one in shown])


def _difference(one: ObjectiveDecision, scale: Scale, y: float) -> list[str]:
    decision, mm = one.decision, one.decision.mm or 0.0
    parts = [line_name(one.name, scale, y)]
    if decision.low is not None and decision.high is not None:
        parts.append(line(scale(decision.low), y, scale(decision.high), y, "pair"))
    state = "" if decision.is_decided else " early"
    parts.append(marker(scale(mm), y, f"dot {_better(one)}{state}", f"{one}"))
    x = min(max(scale(mm), scale.start + 60), WIDTH - 70)
    said = f"{mm:+.1f}, {decision.word}"
    return [*parts, text(said, x, y - 10, anchor="middle", class_="value halo")]


def _better(one: ObjectiveDecision) -> str:
    return one.decision.first if (one.decision.mm or 0.0) < 0 else one.decision.second
