"""Figure of learning curves: one panel per objective, with a label at the end of every curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from handssl.report.figures.axes import WIDTH, bottom_axis, left_axis, shortened
from handssl.report.figures.svg import (
    OBJECTIVE_CLASSES,
    Scale,
    element,
    figure,
    line,
    marker,
    padded_scale,
    spread,
    text,
)
from handssl.report.ranking import CellRow, Ranking
from handssl.report.rows import Row

_PANEL_HEIGHT, _HEAD, _GAP = 220, 28, 15
_LEFT, _RIGHT = 34, 326
_NAMED_CURVES = 12

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class _Tag:
    """Label beside the panel: end of its curve, text and class."""

    x: float
    y: float
    content: str
    class_: str


def learning_curves(ranking: Ranking, rungs: Sequence[int] = ()) -> str:
    """Return the figure as an svg element.

    A curve is the mean over blocks, up to the last epoch that all blocks of the cell reached; the
    bands of the named ones are the range of the blocks. Curves of stopped trials end early, with a
    hollow mark. References that are not trained are horizontal lines.

    Args:
        ranking: Ranking of a section.
        rungs: Epochs to mark, those at which halving decides.
    """
    cells = (*ranking.finished, *ranking.early)
    references = [cell for cell in cells if cell.first.kind == "reference"]
    trials = [cell for cell in cells if cell.first.kind == "trial"]
    rows = [row for cell in cells for row in cell.rows]
    last = max([1, *(epoch for row in rows for epoch, _ in row.curve)])
    values = [value for row in rows for value in _values(row)]
    parts, top = [], 0.0
    for objective in sorted({c.first.objective for c in trials}, key=_panel_order):
        chosen = [cell for cell in trials if cell.first.objective == objective]
        names = min(len(chosen), _NAMED_CURVES) + len(references)
        bottom = top + _HEAD + max(_PANEL_HEIGHT, names * _GAP)
        x = Scale(min(1, last - 1), last, _LEFT, _RIGHT)
        y = padded_scale(values, bottom, top + _HEAD)
        parts += [text(objective, 0, top + 16, class_=f"panel {objective}")]
        epochs = [tick for tick in x.ticks(6) if tick == round(tick)]
        parts += [*left_axis(y, _LEFT, _RIGHT), *bottom_axis(x, bottom, ticks=epochs)]
        parts += [line(x(rung), y.start, x(rung), y.end, "rung") for rung in rungs if rung <= last]
        parts += _panel(chosen, references, x, y)
        top = bottom + 24
    parts.append(text("epoch", (_LEFT + _RIGHT) / 2, top + 12, anchor="middle", class_="tick"))
    label = f"Learning curves of {len(trials)} cells: median error in mm after each epoch"
    return figure(WIDTH, top + 18, label, parts)


def _panel_order(objective: str) -> tuple[int, str]:
    known = objective in OBJECTIVE_CLASSES
    return (OBJECTIVE_CLASSES.index(objective) if known else len(OBJECTIVE_CLASSES), objective)


def _values(row: Row) -> list[float]:
    final = [] if row.median_mm is None else [row.median_mm]
    return [*final, *(value for _, value in row.curve)]


def _panel(
    cells: Sequence[CellRow], references: Sequence[CellRow], x: Scale, y: Scale
) -> list[str]:
    parts, tags = [], []
    for cell in references:
        parts += _reference(cell, x, y)
        tags += _tag(cell, x, y, "muted")
    for rank, cell in enumerate(cells):
        parts += _trial(cell, x, y, named=rank < _NAMED_CURVES)
        tags += _tag(cell, x, y, "name") if rank < _NAMED_CURVES else []
    places = spread([tag.y for tag in tags], _GAP, y.end + 4, y.start)
    for tag, place in zip(tags, places, strict=True):
        parts.append(line(tag.x + 7, tag.y, _RIGHT + 22, place, "leader"))
        parts.append(text(tag.content, _RIGHT + 26, place + 4, class_=tag.class_))
    return parts


def _reference(cell: CellRow, x: Scale, y: Scale) -> list[str]:
    curve = mean_curve(cell.rows)
    if curve:
        return [_path(curve, x, y, "reference")]
    value = cell.mean("median_mm")
    return [] if value is None else [line(_LEFT, y(value), _RIGHT, y(value), "reference")]


def _trial(cell: CellRow, x: Scale, y: Scale, *, named: bool) -> list[str]:
    curve, objective = mean_curve(cell.rows), cell.first.objective
    if not curve:
        return []
    if not named:  # of many cells the best alone can be told apart
        return [_path(curve, x, y, f"thin {objective}")]
    band = _band(cell.rows, curve, x, y)
    epoch, value = curve[-1]
    state = "" if cell.whole else " early"
    hint = f"{cell.first.label}: {value:.1f} mm after epoch {epoch}"
    return [
        *([element("polygon", points=band, class_=f"band {objective}")] if band else []),
        _path(curve, x, y, f"curve {objective}{state}"),
        marker(x(epoch), y(value), f"end {objective}{state}", hint, radius_px=3.5),
    ]


def _band(rows: Sequence[Row], curve: Curve, x: Scale, y: Scale) -> str:
    """Return the points around the range of the blocks; empty for a single block or epoch."""
    if len(rows) < 2 or len(curve) < 2:
        return ""
    values = [[dict(row.curve)[epoch] for row in rows] for epoch, _ in curve]
    edges = [(x(epoch), y(max(v)), y(min(v))) for (epoch, _), v in zip(curve, values, strict=True)]
    upper = [f"{at:.2f},{top:.2f}" for at, top, _ in edges]
    lower = [f"{at:.2f},{bottom:.2f}" for at, _, bottom in reversed(edges)]
    return " ".join([*upper, *lower])


def _tag(cell: CellRow, x: Scale, y: Scale, class_: str) -> list[_Tag]:
    curve, value = mean_curve(cell.rows), cell.mean("median_mm")
    if curve:
        epoch, last = curve[-1]
        return [_Tag(x(epoch), y(last), f"{shortened(cell.name, 14)} {last:.1f}", class_)]
    if cell.first.kind == "trial" or value is None:
        return []
    return [_Tag(_RIGHT, y(value), f"{cell.name} {value:.1f}", class_)]


def mean_curve(rows: Sequence[Row]) -> list[tuple[int, float]]:
    """Return the mean over blocks at every epoch that all blocks reached.

    Args:
        rows: Rows of one cell.

    Returns:
        (epoch, median in mm), in order of epoch.
    """
    curves = [dict(row.curve) for row in rows]
    shared = set.intersection(*map(set, curves)) if curves else set()
    return [(epoch, fmean(curve[epoch] for curve in curves)) for epoch in sorted(shared)]


def _path(curve: Curve, x: Scale, y: Scale, class_: str) -> str:
    points = " ".join(f"{x(epoch):.2f},{y(value):.2f}" for epoch, value in curve)
    return element("polyline", points=points, class_=class_)
