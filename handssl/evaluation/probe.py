"""Fit probes and evaluate predictions under every protocol, with the names used for tracking."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from handssl.data.sample import Split
from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.errors import InputError
from handssl.evaluation.config import ProbeConfig
from handssl.evaluation.features import extract_features
from handssl.evaluation.fitting_views import moved_features
from handssl.evaluation.head_probe import fit_head
from handssl.evaluation.predictions import OnPredictions
from handssl.evaluation.ridge import LinearProbe, choose_probe, ridge_path
from handssl.evaluation.sgd import sgd_probes
from handssl.evaluation.targets import as_columns, complete_hands, from_columns, pose_targets
from handssl.models import MapShape, map_shape
from handssl.objectives import PoseTarget
from handssl.pose import (
    ALIGNED_PROTOCOL,
    OFFICIAL,
    PRIMARY_PROTOCOL,
    PROTOCOLS,
    PoseLabels,
    Protocol,
    pose_metrics,
)
from handssl.pose.hand_errors import HandErrors, hand_errors


class FeaturesOf(typing.Protocol):
    """Function that computes the features of a split, like `extract_features`."""

    def __call__(self, encoder: nn.Module, store: PackedSplit, *, view_px: int) -> torch.Tensor:
        """Return float32 (N, dim)."""
        ...


def evaluate_encoder(
    encoder: nn.Module,
    data: StudyData,
    *,
    view_px: int,
    test: bool,
    keep: OnPredictions | None = None,
) -> dict[str, float]:
    """Fit the encoder's own kind of probe on `probe`, choose it on `select`, and report.

    Args:
        encoder: Encoder, frozen meanwhile; its BatchNorm statistics are not updated.
        data: The packed splits.
        view_px: Side of the encoder's input in pixels.
        test: Whether to evaluate on `test`, which is only allowed at the end of a trial.
        keep: Called with the predictions once they have been evaluated.

    Returns:
        Result of `evaluate_predictions` with the probe's name, `ridge` or `head`, as prefix, and
        its chosen settings.
    """
    probe, selected = fit_probe(encoder, data, view_px=view_px)
    return evaluate_probe(probe, selected, encoder, data, view_px=view_px, test=test, keep=keep)


def evaluate_probe(
    probe: LinearProbe,
    selected: torch.Tensor,
    encoder: nn.Module,
    data: StudyData,
    *,
    view_px: int,
    test: bool,
    keep: OnPredictions | None = None,
) -> dict[str, float]:
    """Report a probe from `fit_probe`, like `evaluate_encoder`.

    Args:
        probe: The probe.
        selected: Features of `select`.
        encoder: Encoder, used only for the features of `test`.
        data: The packed splits.
        view_px: Side of the encoder's input in pixels.
        test: Whether to evaluate on `test`.
        keep: Called with the predictions once they have been evaluated.
    """
    predictions = predict_splits(probe, selected, encoder, data, view_px=view_px, test=test)
    metrics = evaluate_predictions(predictions, data, prefix=probe.name)
    if keep is not None:
        keep(predictions)
    return metrics | probe.chosen()


def predict_splits(
    probe: LinearProbe,
    selected: torch.Tensor,
    encoder: nn.Module,
    data: StudyData,
    *,
    view_px: int,
    test: bool,
) -> dict[Split, torch.Tensor]:
    """Return the predicted columns (N, 63) of `select`, and of `test` if requested.

    Args:
        probe: The probe.
        selected: Features of `select`.
        encoder: Encoder, used only for the features of `test`.
        data: The packed splits.
        view_px: Side of the encoder's input in pixels.
        test: Whether to predict `test`.
    """
    predictions: dict[Split, torch.Tensor] = {"select": probe.predict(selected)}
    if test:
        features = extract_features(encoder, data.store("test"), view_px=view_px)
        predictions["test"] = probe.predict(features)
    return predictions


def fit_probe(
    encoder: nn.Module,
    data: StudyData,
    *,
    view_px: int,
    config: ProbeConfig | None = None,
    features_of: FeaturesOf = extract_features,
) -> tuple[LinearProbe, torch.Tensor]:
    """Fit a probe on `probe`, and choose its hyperparameters on `select`.

    Ridge uses the completely labelled hands of `probe`, the others all labelled joints. Features of
    an encoder with maps are far too many for a linear layer: by default it has a trained head.

    Args:
        encoder: Encoder, frozen meanwhile.
        data: The packed splits.
        view_px: Side of the encoder's input in pixels.
        config: Options of the probe; default: on untransformed images, a head on maps, else ridge.
        features_of: Function that computes features or reads them from a cache.

    Returns:
        The probe, and the features of `select` used to choose it.
    """
    config = config or default_probe(encoder)
    features = features_of(encoder, data.store("probe"), view_px=view_px)
    selected = features_of(encoder, data.store("select"), view_px=view_px)
    target = pose_targets(data.store("probe"))
    if config.augmentation == "geometric":
        more, moved = moved_features(encoder, data.store("probe"), config, view_px=view_px)
        features, target = torch.cat((features, more)), _joined(target, moved)
    probes: Sequence[LinearProbe]
    if config.name == "head":
        device = next(encoder.parameters()).device
        return fit_head(features, target, _maps_of(encoder), device), selected
    if config.name == "sgd":
        probes = sgd_probes(features, as_columns(target), target.valid, config)
    else:
        rows = complete_hands(target)
        probes = ridge_path(features[rows], as_columns(target)[rows])
    store = data.store("select")
    probe = choose_probe(probes, selected, lambda columns: primary_mm(columns, store))
    return probe, selected


def default_probe(encoder: nn.Module) -> ProbeConfig:
    """Return the kind of probe by which an encoder is compared: `head` if it has maps."""
    return ProbeConfig(name="head" if map_shape(encoder) else "ridge")


def _maps_of(encoder: nn.Module) -> MapShape:
    if shape := map_shape(encoder):
        return shape
    raise InputError(
        "probe 'head' reads the maps of an encoder such as heatmap; expected ridge or sgd for an "
        "encoder with pooled features"
    )


def _joined(first: PoseTarget, second: PoseTarget) -> PoseTarget:
    parts = zip((first.uv, first.z, first.valid), (second.uv, second.z, second.valid), strict=True)
    return PoseTarget(*(torch.cat(pair) for pair in parts))


def evaluate_predictions(
    predictions: Mapping[Split, torch.Tensor], data: StudyData, *, prefix: str
) -> dict[str, float]:
    """Return every protocol's statistics and the aliases of those that tables show.

    Args:
        predictions: Predicted columns (N, 63) for `select`, and at the end also for `test`.
        data: The packed splits.
        prefix: Name of the probe.

    Returns:
        `<prefix>/<protocol>/<statistic>_<unit>`, the protocol's id with the suffix of the crop
        boxes (see `ProbeConfig.suffix`), and the aliases median_mm, mpje_mm and aligned_median_mm
        on `select`; under `test/` and `test_` the same on `test`, and the official protocols of the
        datasets.
    """
    metrics: dict[str, float] = {}
    for split, columns in predictions.items():
        protocols = [*PROTOCOLS, *OFFICIAL] if split == "test" else list(PROTOCOLS)
        store = data.store(split)
        values = protocol_metrics(columns, store, protocols)
        head = "test/" if split == "test" else ""
        alias = "test_" if split == "test" else ""
        named = with_suffix(values, ProbeConfig().suffix(store.manifest.boxes))
        metrics |= {f"{head}{prefix}/{name}": value for name, value in named.items()}
        metrics[f"{alias}median_mm"] = values[f"{PRIMARY_PROTOCOL}/median_mm"]
        metrics[f"{alias}mpje_mm"] = values[f"{PRIMARY_PROTOCOL}/mean_mm"]
        metrics[f"{alias}aligned_median_mm"] = values[f"{ALIGNED_PROTOCOL}/median_mm"]
    return metrics


def protocol_metrics(
    columns: torch.Tensor, store: PackedSplit, protocols: Sequence[str] = tuple(PROTOCOLS)
) -> dict[str, float]:
    """Return the statistics of predictions (N, 63) on a labelled split, by protocol."""
    uv, z = from_columns(columns.double())
    pixels, labels = crop_pixels(uv, store).numpy(), pose_labels(store)
    return pose_metrics(pixels, z.numpy(), labels, box_px=store.box_px, protocols=protocols)


def errors_of_hands(
    columns: torch.Tensor, store: PackedSplit, protocol: Protocol | str = PRIMARY_PROTOCOL
) -> HandErrors:
    """Return the error of every hand and joint of predictions (N, 63) on a labelled split.

    Args:
        columns: Predictions, (N, 63).
        store: The split.
        protocol: A protocol, or the id of a known one.

    Raises:
        InputError: The protocol is unknown.
    """
    uv, z = from_columns(columns.double())
    return hand_errors(
        crop_pixels(uv, store).numpy(),
        z.numpy(),
        pose_labels(store),
        box_px=store.box_px,
        protocol=protocol,
        ids=store.ids.numpy(),
        groups=store.label("groups"),
    )


def pose_labels(store: PackedSplit) -> PoseLabels:
    """Return the labels of a split, in pixels of the stored crop."""
    uv, xyz, camera, valid, mirrored = (
        store.label(name) for name in ("uv", "xyz", "camera", "valid", "mirrored")
    )
    return PoseLabels(uv, xyz, camera, valid, left=mirrored)


def with_suffix(metrics: Mapping[str, float], suffix: str) -> dict[str, float]:
    """Return metrics `<protocol>/<statistic>` with a suffix added to the protocol's id.

    Example:
        >>> with_suffix({"pa_21/mean_mm": 1.0}, "_boxpub")
        {'pa_21_boxpub/mean_mm': 1.0}
    """
    parts = ((name.partition("/"), value) for name, value in metrics.items())
    return {f"{protocol}{suffix}/{rest}": value for (protocol, _, rest), value in parts}


def crop_pixels(uv: torch.Tensor, store: PackedSplit) -> torch.Tensor:
    """Convert keypoints from box sides relative to the centre to pixels of the stored crop."""
    return (uv / store.manifest.context + 0.5) * store.manifest.crop_px - 0.5


def primary_mm(columns: torch.Tensor, store: PackedSplit) -> float:
    """Return the primary metric of predictions (N, 63) on a split, in mm."""
    return protocol_metrics(columns, store, [PRIMARY_PROTOCOL])[f"{PRIMARY_PROTOCOL}/median_mm"]
