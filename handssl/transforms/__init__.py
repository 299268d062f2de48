"""Transformations with parameters, drawn once and used for both image and target."""

from handssl.transforms.backends import Backend, choose_backend, make_views
from handssl.transforms.config import (
    REGRESSABLE,
    AugmentConfig,
    may_regress,
    regressed_intervals,
)
from handssl.transforms.custom import CustomTransformation, CustomTransformConfig
from handssl.transforms.interval import Interval, LinearInterval
from handssl.transforms.names import PAPER_SEVEN, TRANSFORMATIONS, composition_name
from handssl.transforms.quirks import Quirks
from handssl.transforms.sampling import Draw, Theta, draw_theta
from handssl.transforms.views import View, ViewMaker, plain_view
from handssl.transforms.warp import (
    move_camera,
    move_points,
    outside_share,
    reach_boxes,
    view_matrix,
    visible,
)

__all__ = [
    "PAPER_SEVEN",
    "REGRESSABLE",
    "TRANSFORMATIONS",
    "AugmentConfig",
    "Backend",
    "CustomTransformConfig",
    "CustomTransformation",
    "Draw",
    "Interval",
    "LinearInterval",
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
