"""Figure of PCK curves: the share of joints within an error, for the best cells and references."""

from __future__ import annotations

from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from handssl.pose.statistics import AUC_THRESHOLDS_MM
from handssl.report.figures.axes import WIDTH, bottom_axis, left_axis, shortened
from handssl.report.figures.svg import Scale, element, figure, line, spread, text
from handssl.report.predictions.cells import PredictedCell, PredictedCells

CELLS = 5
_HEIGHT, _LEFT, _RIGHT, _TOP, _GAP = 300, 40, 260, 16, 15


def pck_curve(cell: PredictedCell) -> NDArray[np.float64]:
    """Return the mean over seeds of the PCK at the thresholds of the AUC, (100,)."""
    return np.asarray(np.mean([one.pck() for one in cell.errors], axis=0), dtype=np.float64)


def auc(cell: PredictedCell) -> float:
    """Return the mean over seeds of the area under the PCK curve from 0 to 50 mm."""
    return fmean(one.auc for one in cell.errors)


def pck_figure(found: PredictedCells) -> str:
    """Return the curves of the five best cells and of the references as an svg element.

    Args:
        found: Cells and references; without any the figure is an empty string.
    """
    shown = [*found.cells[:CELLS], *found.references]
    if not shown:
        return ""
    height = _TOP + max(_HEIGHT - 60, len(shown) * _GAP)
    x, y = Scale(0.0, 50.0, _LEFT, _RIGHT), Scale(0.0, 1.0, height, _TOP)
    curves = [pck_curve(cell) for cell in shown]
    parts = bottom_axis(x, height, "error, mm")
    parts += left_axis(y, _LEFT, _RIGHT, words=lambda share: f"{100 * share:.0f} %")
    parts += [_curve(c, v, x, y) for c, v in zip(shown, curves, strict=True)]
    ends = [y(float(values[-1])) for values in curves]
    for cell, end, place in zip(
        shown, ends, spread(ends, _GAP, _TOP + 4, float(height)), strict=True
    ):
        kind = "muted" if cell.objective == "reference" else "name"
        parts.append(line(_RIGHT + 2, end, _RIGHT + 14, place, "leader"))
        parts.append(
            text(f"{auc(cell):.3f} {shortened(cell.name)}", _RIGHT + 18, place + 4, class_=kind)
        )
    label = f"Share of joints within an error from 0 to 50 mm, for {len(shown)} rows"
    return figure(WIDTH, height + 40, label, parts)


def _curve(cell: PredictedCell, values: NDArray[np.float64], x: Scale, y: Scale) -> str:
    pairs = zip(AUC_THRESHOLDS_MM.tolist(), values.tolist(), strict=True)
    points = " ".join(f"{x(mm):.1f},{y(share):.1f}" for mm, share in pairs)
    kind = "reference" if cell.objective == "reference" else f"curve {cell.objective}"
    return element("polyline", points=points, class_=kind)
