"""Evaluation of encoders: frozen features, linear probes and reference rows."""

from handssl.evaluation.features import extract_features, settle_batch_norm
from handssl.evaluation.probe import (
    evaluate_encoder,
    evaluate_predictions,
    evaluate_probe,
    fit_probe,
)
from handssl.evaluation.references import (
    hog_ridge,
    mean_pose,
    mean_pose_true_angle,
    random_encoder,
    rgb_ridge,
)
from handssl.evaluation.ridge import RidgeProbe, choose_probe, ridge_path

__all__ = [
    "RidgeProbe",
    "choose_probe",
    "evaluate_encoder",
    "evaluate_predictions",
    "evaluate_probe",
    "extract_features",
    "fit_probe",
    "hog_ridge",
    "mean_pose",
    "mean_pose_true_angle",
    "random_encoder",
    "rgb_ridge",
    "ridge_path",
    "settle_batch_norm",
]
