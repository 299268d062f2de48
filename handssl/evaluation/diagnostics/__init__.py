"""Diagnostics of invariance and equivariance, which test the paper's hypothesis directly.

Every measure is named `diag/<measure>/<transformation>`; `none` stands for untransformed images.
"""

from handssl.evaluation.diagnostics.diagnose import LEAST_IMAGES, diagnose, encoded_views
from handssl.evaluation.diagnostics.geometry import (
    collapse_measures,
    effective_rank,
    invariance_measures,
    uniformity,
)
from handssl.evaluation.diagnostics.head_leak import head_measures
from handssl.evaluation.diagnostics.keypoints import keypoint_measures, mean_distance_px
from handssl.evaluation.diagnostics.readout import (
    equivariance_r2,
    fit_readout,
    readout_accuracy,
    wrapped_r2,
)

__all__ = [
    "LEAST_IMAGES",
    "collapse_measures",
    "diagnose",
    "effective_rank",
    "encoded_views",
    "equivariance_r2",
    "fit_readout",
    "head_measures",
    "invariance_measures",
    "keypoint_measures",
    "mean_distance_px",
    "readout_accuracy",
    "uniformity",
    "wrapped_r2",
]
