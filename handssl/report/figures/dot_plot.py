"""Figure of the final median of every cell, with both objectives of a composition on one line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from handssl.report.figures.axes import WIDTH, bottom_axis, line_name, lines_scale
from handssl.report.figures.svg import Scale, element, figure, line, marker, text
from handssl.report.layout import format_mm, outcome_of
from handssl.report.ranking import CellRow, Ranking

_LINE_HEIGHT, _LABEL_HEIGHT, _CHARACTER_WIDTH = 36, 16, 7.4


def dot_plot(ranking: Ranking) -> str:
    """Return the figure as an svg element.

    A composition has one line with one mark per objective; hollow marks ended early and were
    measured at another epoch. Small marks are the blocks. Vertical lines are the references.

    Args:
        ranking: Ranking of a section.
    """
    trials = [c for c in (*ranking.finished, *ranking.early) if c.first.kind == "trial"]
    references = [c for c in ranking.finished if c.first.kind == "reference"]
    names = list(dict.fromkeys(cell.name for cell in trials))
    groups = {name: [cell for cell in trials if cell.name == name] for name in names}
    # Pairs come first: the figure is meant to compare them.
    names.sort(key=lambda name: len({c.first.objective for c in groups[name]}) < 2)
    scale = _scale(trials, references, names)
    levels = _levels(references, scale)
    top = 8 + _LABEL_HEIGHT * (max(levels, default=-1) + 1) + 6
    bottom = top + _LINE_HEIGHT * len(names)
    parts = bottom_axis(scale, bottom, "median error on select, mm (lower is better)", top=top)
    parts += [
        part
        for cell, level in zip(references, levels, strict=True)
        for part in _reference(cell, scale, level, bottom)
    ]
    for index, name in enumerate(names):
        y = top + _LINE_HEIGHT * (index + 0.5)
        parts.append(line_name(name, scale, y))
        parts += _composition(groups[name], scale, y)
    label = f"Dot plot: median error of {len(trials)} cells in mm, lower is better"
    return figure(WIDTH, bottom + 40, label, parts)


def _scale(trials: Sequence[CellRow], references: Sequence[CellRow], names: Sequence[str]) -> Scale:
    rows = [row for cell in (*trials, *references) for row in cell.rows]
    values = [row.median_mm for row in rows if row.median_mm is not None]
    return lines_scale(values, names)


def _reference(cell: CellRow, scale: Scale, level: int, bottom: float) -> list[str]:
    value = cell.mean("median_mm") or 0.0
    x, y = scale(value), 8 + _LABEL_HEIGHT * level
    place = min(max(x, scale.start + _half_width(cell)), WIDTH - 4 - _half_width(cell))
    return [
        line(x, y + 14, x, bottom, "reference"),
        text(_reference_label(cell), place, y + 10, anchor="middle", class_="muted halo"),
    ]


def _reference_label(cell: CellRow) -> str:
    return f"{cell.name} {format_mm(cell.mean('median_mm'))}"


def _half_width(cell: CellRow) -> float:
    return len(_reference_label(cell)) * _CHARACTER_WIDTH * 0.46


def _levels(references: Sequence[CellRow], scale: Scale) -> list[int]:
    """Return the line of each reference's label, so that labels do not overlap."""
    ends: list[float] = []
    levels = []
    for cell in references:  # ascending by value
        x, half = scale(cell.mean("median_mm") or 0.0), _half_width(cell)
        centre = min(max(x, scale.start + half), WIDTH - 4 - half)
        free = (level for level, end in enumerate(ends) if end + 8 < centre - half)
        level = next(free, len(ends))
        ends[level : level + 1] = [centre + half]
        levels.append(level)
    return levels


def _composition(cells: Sequence[CellRow], scale: Scale, y: float) -> list[str]:
    placed = sorted(((_value(cell), cell) for cell in cells), key=lambda pair: pair[0] or 0.0)
    known = [(value, cell) for value, cell in placed if value is not None]
    parts = [line(scale(a), y, scale(b), y, "pair") for (a, _), (b, _) in pairwise(known)]
    for index, (value, cell) in enumerate(known):
        parts += _marks(cell, value, scale, y)
        left = index == 0 and len(known) > 1
        x = scale(value) + (-11 if left else 11)
        anchor = "end" if left else "start"
        # A label that would extend beyond the figure goes to the other side of its mark.
        if not left and x + len(_label(cell, value)) * 6.5 > WIDTH:
            x, anchor = scale(value) - 11, "end"
        weight = "value halo best" if left else "value halo"
        parts.append(text(_label(cell, value), x, y + 4, anchor=anchor, class_=weight))
    if not known:
        parts.append(text(outcome_of(cells[0]), scale.start, y + 4, class_="muted"))
    return parts


def _marks(cell: CellRow, value: float, scale: Scale, y: float) -> list[str]:
    objective, state = cell.first.objective, "" if cell.finished else " early"
    parts = []
    if len(cell.blocks) > 1:
        # For a ranked cell only the blocks of its mean; the others were measured at other epochs.
        parts = [
            element("circle", cx=scale(row.median_mm), cy=y, r=2.5, class_=f"block {objective}")
            for row in (cell.done if cell.finished else cell.rows)
            if row.median_mm is not None
        ]
    hint = f"{cell.first.label}: {_label(cell, value)} mm, {outcome_of(cell)}"
    return [*parts, marker(scale(value), y, f"dot {objective}{state}", hint)]


def _value(cell: CellRow) -> float | None:
    if cell.finished:
        return cell.mean("median_mm")
    values = [row.median_mm for row in cell.rows if row.median_mm is not None]
    return fmean(values) if values else None


def _label(cell: CellRow, value: float) -> str:
    if cell.finished:
        return f"{value:.1f}"
    return f"{value:.1f} at {'-'.join(map(str, cell.epochs_reached))}"
