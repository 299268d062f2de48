"""Evaluation of encoders: frozen features, linear probes and reference rows."""

from handssl.evaluation.features import extract_features, settle_batch_norm
from handssl.evaluation.probe import (
    evaluate_encoder,
    evaluate_predictions,
    evaluate_probe,
    fit_probe,
)
from handssl.evaluation.references import mean_pose, random_encoder
from handssl.evaluation.ridge import RidgeProbe, choose_probe, ridge_path

__all__ = [
    "RidgeProbe",
    "choose_probe",
    "evaluate_encoder",
    "evaluate_predictions",
    "evaluate_probe",
    "extract_features",
    "fit_probe",
    "mean_pose",
    "random_encoder",
    "ridge_path",
    "settle_batch_norm",
]
