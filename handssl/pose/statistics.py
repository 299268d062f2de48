"""Statistics of errors: pooled over hands and joints, or averaged over per-joint statistics.

Reference: the official evaluation of FreiHAND averages per-joint statistics over joints, so its
median is a mean of 21 medians; `eval_util.py` of C. Zimmermann et al., ICCV 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handssl.pose.labels import Floats, Mask

Statistic = Literal["median", "mean", "joint_median", "joint_mean", "auc_50mm"]

AUC_THRESHOLDS_MM: Floats = np.linspace(0.0, 50.0, 100)
"""Thresholds of the PCK curve, including both ends."""


def median(errors: Floats, counted: Mask) -> float:
    """Return the median of all errors (N, J) that count."""
    return float(np.median(errors[counted]))


def mean(errors: Floats, counted: Mask) -> float:
    """Return the mean of all errors (N, J) that count."""
    return float(np.mean(errors[counted]))


def joint_median(errors: Floats, counted: Mask) -> float:
    """Return the mean over joints of each joint's median."""
    return _over_joints(errors, counted, np.median)


def joint_mean(errors: Floats, counted: Mask) -> float:
    """Return the mean over joints of each joint's mean."""
    return _over_joints(errors, counted, np.mean)


def auc_50mm(errors: Floats, counted: Mask) -> float:
    """Return the area under the curve of correct keypoints from 0 to 50 mm, mean over joints.

    PCK(t) = share of errors <= t at 100 thresholds; the area is a trapezoid sum over the range.

    Args:
        errors: Errors in mm, (N, J).
        counted: Whether each error counts, bool (N, J).

    Returns:
        In [0, 1].

    Example:
        >>> round(auc_50mm(np.zeros((1, 21)), np.ones((1, 21), dtype=bool)), 6)
        1.0
    """
    return _over_joints(errors, counted, _area)


STATISTICS: dict[Statistic, Callable[[Floats, Mask], float]] = {
    "median": median,
    "mean": mean,
    "joint_median": joint_median,
    "joint_mean": joint_mean,
    "auc_50mm": auc_50mm,
}


def _over_joints(
    errors: Floats, counted: Mask, of_one: Callable[[NDArray[np.float64]], object]
) -> float:
    """Average over the joints with at least one counted error."""
    columns = [errors[counted[:, joint], joint] for joint in range(errors.shape[1])]
    return float(np.mean([of_one(column) for column in columns if column.size]))


def _area(column: Floats) -> float:
    correct = np.searchsorted(np.sort(column), AUC_THRESHOLDS_MM, side="right") / column.size
    # Equal steps: the trapezoid sum over the range is the mean of the steps' midpoints.
    return float(np.mean((correct[1:] + correct[:-1]) / 2))
