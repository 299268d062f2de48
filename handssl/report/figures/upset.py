"""Figure of compositions: a matrix of the transformations of each cell below its errors.

The layout is that of UpSet plots (Lex et al. 2014): one column per cell, one line per
transformation, a filled dot where the cell has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from handssl.report.figures.axes import left_axis
from handssl.report.figures.svg import (
    Scale,
    element,
    figure,
    line,
    marker,
    padded_scale,
    text,
    tooltip,
)
from handssl.report.ranking import CellRow, Ranking

BEST = 30
_TOP, _HEIGHT, _LINE, _STEP, _CHARACTER = 26, 190, 22, 20, 7.2


def upset(ranking: Ranking) -> str:
    """Return the figure as an svg element: the best 30 cells by mean, references as lines.

    Dots are means over blocks with the 95 % interval of Student's t where a cell has two blocks or
    more; the interval is for the cell alone, not for differences between cells.

    Args:
        ranking: Ranking of a section.
    """
    cells = ranking.trials[:BEST]
    references = [cell for cell in ranking.finished if cell.first.kind == "reference"]
    names = _names(cells)
    left = 14 + _CHARACTER * max(map(len, names), default=0)
    width = max(left + _STEP * len(cells) + 150, 320)
    y = _scale(cells, references)
    xs = {n: left + _STEP * (n + 0.5) for n in range(len(cells))}
    end = left + _STEP * len(cells)
    parts = [*_axis(y, left, end), *_references(references, y, left, end)]
    for n, cell in enumerate(cells):
        parts += _cell(cell, xs[n], y)
        parts += _column(cell, names, xs[n])
    for row, name in enumerate(names):
        parts.append(text(name, left - 10, _line_y(row) + 4, anchor="end", class_="name"))
    label = f"Compositions: median error in mm of the best {len(cells)} cells, lower is better"
    return figure(width, _line_y(len(names)) + 2, label, parts)


def interval_95(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of Student's t for a mean; None for less than two values.

    Example:
        >>> interval_95([60.0])
        >>> low, high = interval_95([60.0, 62.0])
        >>> round(low, 1), round(high, 1)
        (48.3, 73.7)
    """
    if len(values) < 2:
        return None
    from scipy.stats import t  # takes a second to import

    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return fmean(values) - half, fmean(values) + half


def _names(cells: Sequence[CellRow]) -> list[str]:
    """Return the transformations, the most frequent among the best cells first."""
    used = [name for cell in cells for name in _composition(cell)]
    return sorted(set(used), key=lambda name: (-used.count(name), name))


def _composition(cell: CellRow) -> tuple[str, ...]:
    name = cell.first.composition
    return () if name == "none" else tuple(name.split("+"))


def _values(cell: CellRow) -> list[float]:
    return [row.median_mm for row in cell.done if row.median_mm is not None]


def _scale(cells: Sequence[CellRow], references: Sequence[CellRow]) -> Scale:
    """Return the scale of the cells; references far from them are not drawn."""
    values = [value for cell in cells for value in (cell.means["median_mm"], *_values(cell))]
    if not values:
        return Scale(0.0, 1.0, _TOP + _HEIGHT, _TOP)
    low, high = min(values), max(values)
    near = (high - low or 1.0) * 0.6
    known = [cell.means["median_mm"] for cell in references]
    values += [value for value in known if low - near <= value <= high + near]
    return padded_scale(values, _TOP + _HEIGHT, _TOP)


def _axis(y: Scale, left: float, end: float) -> list[str]:
    title = text("median error on select, mm", 0, 12, class_="tick")
    return [title, *left_axis(y, left, end, count=5)]


def _references(cells: Sequence[CellRow], y: Scale, left: float, end: float) -> list[str]:
    shown = [cell for cell in cells if y.low <= cell.means["median_mm"] <= y.high]
    parts = []
    for cell in shown:
        place = y(cell.means["median_mm"])
        words = f"{cell.name} {cell.means['median_mm']:.1f}"
        parts.append(line(left, place, end, place, "reference"))
        parts.append(text(words, end + 6, place + 4, class_="muted"))
    return parts


def _cell(cell: CellRow, x: float, y: Scale) -> list[str]:
    mean, found = cell.means["median_mm"], interval_95(_values(cell))
    hint = f"{cell.title}: {mean:.1f} mm"
    parts = []
    if found:
        low, high = (min(max(value, y.low), y.high) for value in found)
        hint += f" ({found[0]:.1f} to {found[1]:.1f})"
        parts.append(line(x, y(low), x, y(high), f"whisker {cell.first.objective}"))
    return [*parts, marker(x, y(mean), f"dot {cell.first.objective}", hint, radius_px=4.5)]


def _column(cell: CellRow, names: Sequence[str], x: float) -> list[str]:
    has = [row for row, name in enumerate(names) if name in _composition(cell)]
    parts = []
    if len(has) > 1:
        parts.append(line(x, _line_y(has[0]), x, _line_y(has[-1]), "bond"))
    for row, name in enumerate(names):
        relative = name in cell.first.relative_on.split("+") or (
            cell.first.objective == "relative" and row in has
        )
        kind = ("on relative" if relative else "on") if row in has else "off"
        words = f"{cell.title}: {'with' if row in has else 'without'} {name}"
        parts.append(
            element("circle", tooltip(words), cx=x, cy=_line_y(row), r=5.0, class_=f"set {kind}")
        )
    return parts


def _line_y(row: int) -> float:
    return _TOP + _HEIGHT + 22 + _LINE * row
