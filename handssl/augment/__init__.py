"""Transformations with parameters: drawn once, consumed by image and target alike."""

from handssl.augment.config import (
    REGRESSABLE,
    TRANSFORMATIONS,
    AugmentConfig,
    Interval,
    composition_name,
    regressed_intervals,
)
from handssl.augment.draws import Draw, Theta, draw_theta
from handssl.augment.geometry import move_points, outside_share, reach_boxes, view_matrix
from handssl.augment.views import View, ViewMaker, plain_view

__all__ = [
    "REGRESSABLE",
    "TRANSFORMATIONS",
    "AugmentConfig",
    "Draw",
    "Interval",
    "Theta",
    "View",
    "ViewMaker",
    "composition_name",
    "draw_theta",
    "move_points",
    "outside_share",
    "plain_view",
    "reach_boxes",
    "regressed_intervals",
    "view_matrix",
]
