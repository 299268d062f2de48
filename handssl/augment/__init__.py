"""Transformations with parameters, drawn once and used for both image and target."""

from handssl.augment.backends import Backend, choose_backend, make_views
from handssl.augment.config import (
    REGRESSABLE,
    AugmentConfig,
    may_regress,
    regressed_intervals,
)
from handssl.augment.draws import Draw, Theta, draw_theta
from handssl.augment.geometry import (
    move_camera,
    move_points,
    outside_share,
    reach_boxes,
    view_matrix,
    visible,
)
from handssl.augment.interval import Interval
from handssl.augment.names import PAPER_SEVEN, TRANSFORMATIONS, composition_name
from handssl.augment.own import Own, OwnTransformation
from handssl.augment.quirks import Quirks
from handssl.augment.views import View, ViewMaker, plain_view

__all__ = [
    "PAPER_SEVEN",
    "REGRESSABLE",
    "TRANSFORMATIONS",
    "AugmentConfig",
    "Backend",
    "Draw",
    "Interval",
    "Own",
    "OwnTransformation",
    "Quirks",
    "Theta",
    "View",
    "ViewMaker",
    "choose_backend",
    "composition_name",
    "draw_theta",
    "make_views",
    "may_regress",
    "move_camera",
    "move_points",
    "outside_share",
    "plain_view",
    "reach_boxes",
    "regressed_intervals",
    "view_matrix",
    "visible",
]
