"""Evaluate features or predictions under every protocol, with names as they are tracked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from handssl.data.sample import Split
from handssl.data.store import PackedSplit
from handssl.data.study_data import StudyData
from handssl.evaluation.features import extract_features
from handssl.evaluation.ridge import RidgeProbe, choose_probe, ridge_path
from handssl.evaluation.targets import as_columns, complete_hands, from_columns, pose_targets
from handssl.pose import OFFICIAL, PRIMARY, PROTOCOLS, PoseLabels, pose_metrics


def evaluate_encoder(
    encoder: nn.Module, data: StudyData, *, view_px: int, test: bool
) -> dict[str, float]:
    """Fit the ridge probe on `probe`, choose lambda on `select`, and report.

    Args:
        encoder: Frozen for the purpose; its BatchNorm statistics do not move.
        data: The packed splits.
        view_px: Side of the encoder's input.
        test: Whether `test` is opened, which only the end of a trial may do.

    Returns:
        As `evaluate_predictions` with prefix `ridge`, and `ridge/lambda_exponent`.
    """
    probe, selected = fit_probe(encoder, data, view_px=view_px)
    return evaluate_probe(probe, selected, encoder, data, view_px=view_px, test=test)


def evaluate_probe(
    probe: RidgeProbe,
    selected: torch.Tensor,
    encoder: nn.Module,
    data: StudyData,
    *,
    view_px: int,
    test: bool,
) -> dict[str, float]:
    """Report a probe that `fit_probe` fitted; arguments and result as of `evaluate_encoder`.

    Args:
        probe: The probe.
        selected: Features of `select`.
        encoder: Asked for the features of `test` alone.
        data: The packed splits.
        view_px: Side of the encoder's input.
        test: Whether `test` is opened.
    """
    predictions: dict[Split, torch.Tensor] = {"select": probe.predict(selected)}
    if test:
        features = extract_features(encoder, data.store("test"), view_px=view_px)
        predictions["test"] = probe.predict(features)
    metrics = evaluate_predictions(predictions, data, prefix="ridge")
    return metrics | {"ridge/lambda_exponent": probe.exponent}


def fit_probe(
    encoder: nn.Module, data: StudyData, *, view_px: int
) -> tuple[RidgeProbe, torch.Tensor]:
    """Fit the ridge probe on the complete hands of `probe`, choose lambda on `select`.

    Args:
        encoder: Frozen for the purpose.
        data: The packed splits.
        view_px: Side of the encoder's input.

    Returns:
        The probe, and the features of `select`, which it was chosen on.
    """
    fitted = extract_features(encoder, data.store("probe"), view_px=view_px)
    selected = extract_features(encoder, data.store("select"), view_px=view_px)
    target = pose_targets(data.store("probe"))
    rows = complete_hands(target)
    probes = ridge_path(fitted[rows], as_columns(target)[rows])
    probe = choose_probe(
        probes, selected, lambda columns: primary_mm(columns, data.store("select"))
    )
    return probe, selected


def evaluate_predictions(
    predictions: Mapping[Split, torch.Tensor], data: StudyData, *, prefix: str
) -> dict[str, float]:
    """Return every protocol's statistics and the aliases of the primary measure.

    Args:
        predictions: For `select`, and at the end `test`, the 63 columns (N, 63).
        data: The packed splits.
        prefix: Name of the probe.

    Returns:
        `<prefix>/<protocol>/<statistic>_<unit>` and the aliases median_mm, mpje_mm on `select`;
        under `test/` and `test_` the same on `test`, with the datasets' own measures beside.
    """
    metrics: dict[str, float] = {}
    for split, columns in predictions.items():
        protocols = [*PROTOCOLS, *OFFICIAL] if split == "test" else list(PROTOCOLS)
        values = protocol_metrics(columns, data.store(split), protocols)
        head = "test/" if split == "test" else ""
        alias = "test_" if split == "test" else ""
        metrics |= {f"{head}{prefix}/{name}": value for name, value in values.items()}
        metrics[f"{alias}median_mm"] = values[f"{PRIMARY}/median_mm"]
        metrics[f"{alias}mpje_mm"] = values[f"{PRIMARY}/mean_mm"]
    return metrics


def protocol_metrics(
    columns: torch.Tensor, store: PackedSplit, protocols: Sequence[str] = tuple(PROTOCOLS)
) -> dict[str, float]:
    """Return the statistics of predictions (N, 63) on a labelled split, by protocol."""
    uv, z = from_columns(columns.double())
    labels = PoseLabels(
        store.label("uv"), store.label("xyz"), store.label("camera"), store.label("valid")
    )
    return pose_metrics(
        crop_pixels(uv, store).numpy(), z.numpy(), labels, box_px=store.box_px, protocols=protocols
    )


def crop_pixels(uv: torch.Tensor, store: PackedSplit) -> torch.Tensor:
    """Return keypoints in pixels of the stored crop, from box sides off its centre."""
    return (uv / store.manifest.context + 0.5) * store.manifest.crop_px - 0.5


def primary_mm(columns: torch.Tensor, store: PackedSplit) -> float:
    """Return the primary measure of predictions (N, 63) on a split."""
    return protocol_metrics(columns, store, [PRIMARY])[f"{PRIMARY}/median_mm"]
