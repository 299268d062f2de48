"""Errors of a linear layer that is fitted on one dataset and evaluated on another (Sec. 4.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from handssl.data.splits import StudyData
from handssl.data.store import PackedSplit
from handssl.evaluation.config import ProbeConfig
from handssl.evaluation.features import extract_features
from handssl.evaluation.probe import (
    crop_pixels,
    evaluate_predictions,
    fit_probe,
    pose_labels,
    predict_splits,
    with_suffix,
)
from handssl.evaluation.ridge import LinearProbe
from handssl.evaluation.targets import from_columns
from handssl.pose import CROSS, PROTOCOLS, PoseLabels, pose_metrics
from handssl.pose.labels import Mask

_GREY_LEVELS = 2  # largest difference of the channels of a grey image, of 255
_BATCH = 256


def measure_across(
    encoder: nn.Module, data: StudyData, *, view_px: int, layer: LinearProbe | None = None
) -> dict[str, float]:
    """Fit a linear layer on `probe` of one dataset, and report `test` of the other.

    Lambda is chosen on `select` of the first dataset: nothing of the second is used before `test`.

    Args:
        encoder: Encoder, frozen meanwhile.
        data: Splits of `CrossData`.
        view_px: Side of the encoder's input in pixels.
        layer: A trained layer to be used instead; None: ridge.

    Returns:
        Result of `evaluate_predictions` with the name of the layer as prefix, and of
        `cross_metrics` for `test`.
    """
    if layer is None:
        layer, selected = fit_probe(encoder, data, view_px=view_px)
    else:
        selected = extract_features(encoder, data.store("select"), view_px=view_px)
    predictions = predict_splits(layer, selected, encoder, data, view_px=view_px, test=True)
    metrics = evaluate_predictions(predictions, data, prefix=layer.name)
    across = cross_metrics(predictions["test"], data)
    return metrics | {f"test/{layer.name}/{name}": v for name, v in across.items()} | layer.chosen()


def cross_metrics(columns: torch.Tensor, data: StudyData) -> dict[str, float]:
    """Return errors with the source's mean bone, and those of colour and grey images apart.

    Args:
        columns: Predictions (N, 63) of `test`.
        data: Splits of `CrossData`.

    Returns:
        `<protocol>/<statistic>_<unit>`: the protocols `CROSS` for all images, and with `_colour`
        and `_grey` after the id all protocols, if there are images of both kinds.
    """
    store = data.store("test")
    uv, z = from_columns(columns.double())
    pixels, depths = crop_pixels(uv, store).numpy(), z.numpy()
    labels = replace(pose_labels(store), source_scale=mean_bone_m(data.store("probe")))
    found = pose_metrics(pixels, depths, labels, box_px=store.box_px, protocols=tuple(CROSS))
    grey = grey_images(store)
    for name, rows in (("_colour", ~grey), ("_grey", grey)) if 0 < grey.sum() < len(grey) else ():
        apart = pose_metrics(
            pixels[rows],
            depths[rows],
            _some(labels, rows),
            box_px=store.box_px,
            protocols=(*PROTOCOLS, *CROSS),
        )
        found |= with_suffix(apart, name)
    return with_suffix(found, ProbeConfig().suffix(store.manifest.boxes))


def mean_bone_m(store: PackedSplit) -> float:
    """Return the mean length of wrist to middle_mcp over the labelled hands, in metres."""
    return float(np.nanmean(pose_labels(store).checked(len(store)).scale))


def grey_images(store: PackedSplit) -> Mask:
    """Return which images are grey, bool (N,): those whose three channels are equal.

    Grey cameras, such as 410xxx of InterHand2.6M, store one channel three times.
    """
    found = []
    for rows in np.array_split(np.arange(len(store)), max(1, -(-len(store) // _BATCH))):
        crops = store.crops(rows).to(torch.int16)
        spread = crops.amax(dim=1) - crops.amin(dim=1)
        found.append((spread.flatten(1).amax(dim=1) <= _GREY_LEVELS).cpu().numpy())
    return np.concatenate(found)


def _some(labels: PoseLabels, rows: Mask) -> PoseLabels:
    arrays: dict[str, Any] = {
        name: value[rows]
        for name in ("uv", "xyz", "camera", "valid", "left")
        if (value := getattr(labels, name)) is not None
    }
    return replace(labels, **arrays)
