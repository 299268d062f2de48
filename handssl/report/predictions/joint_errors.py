"""Figure of the mean error of each joint, written and drawn to scale on a hand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from handssl.pose.skeleton import BONES, JOINT_COUNT, JOINT_NAMES
from handssl.report.figures.svg import element, figure, line, text, tooltip
from handssl.report.predictions.cells import PredictedCell

_SIDE, _WRIST = 300, (150.0, 270.0)
# Direction of each finger in degrees to the right of straight up, and the distances of its joints
# from the wrist in pixels: an open right hand seen from the palm, thumb on the left.
_FINGERS = (
    (-52, (55, 95, 130, 160)),
    (-19, (120, 165, 195, 220)),
    (-2, (125, 178, 212, 240)),
    (14, (120, 168, 200, 225)),
    (31, (112, 147, 170, 190)),
)
_RADIUS_PX = 2.6  # of the mark of an error of 1 mm; areas are proportional to errors


def mean_per_joint(cell: PredictedCell) -> NDArray[np.float64]:
    """Return the mean over seeds of each joint's mean error in mm, (21,); NaN if not counted."""
    means = np.mean([one.per_joint for one in cell.errors], axis=0)
    whole = np.full(JOINT_COUNT, np.nan)
    whole[JOINT_COUNT - len(means) :] = means
    return whole


def joint_figure(cell: PredictedCell) -> str:
    """Return a drawn hand as an svg element, with a mark and a number at each joint.

    Args:
        cell: The cell. Its wrist has no mark under a root-relative protocol.
    """
    places, means = _places(), mean_per_joint(cell)
    parts = [line(*places[a], *places[b], "bone") for a, b in BONES]
    for joint, mm in enumerate(means.tolist()):
        if not math.isnan(mm):
            parts += _mark(joint, mm, *places[joint], cell.objective)
    known = means[~np.isnan(means)]
    label = (
        f"Mean error of each joint of {cell.name}: from {known.min():.1f} to {known.max():.1f} mm"
    )
    return figure(_SIDE, _SIDE, label, parts)


def _places() -> list[tuple[float, float]]:
    x, y = _WRIST
    turned = [(math.radians(degrees), reach) for degrees, reach in _FINGERS]
    tips = [(x + r * math.sin(a), y - r * math.cos(a)) for a, reach in turned for r in reach]
    return [_WRIST, *tips]


def _mark(joint: int, mm: float, x: float, y: float, objective: str) -> list[str]:
    hint = tooltip(f"{JOINT_NAMES[joint]}: {mm:.1f} mm")
    radius = _RADIUS_PX * math.sqrt(mm)
    return [
        element("circle", hint, cx=x, cy=y, r=radius, class_=f"joint {objective}"),
        text(f"{mm:.0f}", x, y + 4, anchor="middle", class_="joint-mm"),
    ]
