"""Compute all diagnostics of an encoder, with the names used for tracking."""

from __future__ import annotations

import torch
from torch import nn

from handssl.data.sample import Split
from handssl.data.splits import StudyData
from handssl.errors import InputError
from handssl.evaluation.diagnostics.geometry import collapse_measures, invariance_measures
from handssl.evaluation.diagnostics.head_leak import head_measures
from handssl.evaluation.diagnostics.keypoints import keypoint_measures, mean_distance_px
from handssl.evaluation.diagnostics.passes import QUARTERS, EncodedView, Passes
from handssl.evaluation.diagnostics.readout import Pairs, equivariance_r2, readout_accuracy
from handssl.evaluation.features import frozen
from handssl.evaluation.ridge import LinearProbe
from handssl.evaluation.targets import from_columns, pose_targets
from handssl.objectives import RelativeLoss
from handssl.transforms import REGRESSABLE, TRANSFORMATIONS, AugmentConfig, regressed_intervals

# Transformations that move keypoints; `scale` where there is one.
_MOVING = tuple(name for name in ("rotate", "scale", "translate") if name in TRANSFORMATIONS)
LEAST_IMAGES = 8
_PLAIN = "none"
Metrics = dict[str, float]


def diagnose(
    encoder: nn.Module,
    data: StudyData,
    *,
    augmentation: AugmentConfig,
    view_px: int,
    seed: int,
    probe: LinearProbe | None = None,
    heads: RelativeLoss | None = None,
    images: int = 256,
) -> Metrics:
    """Measure the information of features about every transformation, on held-out images.

    Read-outs are fitted on `probe` and scored on `select`, everything else is measured on `select`.
    One transformation is enabled at a time and applied to every view. Invariance to regressable
    ones is measured between two views; to the others, which training applies to only half of the
    views, between a view and the untransformed image. The draws depend only on the seed and the
    sample: they are equal in every epoch and for every arm of a block.

    Args:
        encoder: Encoder; it is frozen meanwhile (BatchNorm statistics are not updated) and its mode
            is restored.
        data: The packed splits.
        augmentation: The trial's ranges.
        view_px: Side of the encoder's input in pixels.
        seed: The trial's seed.
        probe: The fitted ridge probe; without it keypoints are not measured.
        heads: The trained relative heads, if the objective has any.
        images: Maximum number of images per split; see `encoded_views` for the cost.

    Returns:
        `diag/<measure>/<transformation>`: equivariance_r2 (regressable ones), invariance,
        cosine_within, cosine_between, alignment (all), keypoint_gap_px, keypoint_unmoved_px (those
        that move keypoints, with a probe), quarter_turn_accuracy (rotate), head_r2 and leak (those
        with a head, see `head_measures`); of untransformed images, under `none`, uniformity,
        effective_rank, dead_share and keypoint_own_px.

    Raises:
        InputError: There are fewer than 8 images.

    Reference:
        Sec. 1 and 3.1.
    """
    _check_images(data, images)
    splits: tuple[Split, Split] = ("probe", "select")
    with frozen(encoder):
        fitted, scored = (
            Passes(encoder, data.store(split), augmentation, view_px, seed, images)
            for split in splits
        )
        plain = scored.plain()
        metrics = _named(_PLAIN, collapse_measures(plain))
        if probe is not None:
            metrics |= _named(_PLAIN, _own_error(probe, plain, scored))
        for name in TRANSFORMATIONS:
            metrics |= _named(name, _of_transformation(name, fitted, scored, plain, probe, heads))
        accuracy = readout_accuracy(fitted.quarter_turns(), scored.quarter_turns(), QUARTERS)
    return metrics | _named("rotate", {"quarter_turn_accuracy": accuracy})


def encoded_views(images: int) -> int:
    """Return the number of images that `diagnose` encodes (forward only) if splits have enough.

    Example:
        >>> encoded_views(256) == 256 * (3 + len(TRANSFORMATIONS) + 3 * len(REGRESSABLE))
        True
    """
    # One untransformed and two rotated by quarter turns; one view of each transformation, and three
    # more of regressable ones: the second view, and both views of the images for fitting.
    return images * (3 + len(TRANSFORMATIONS) + 3 * len(REGRESSABLE))


def _check_images(data: StudyData, images: int) -> None:
    least = min(images, len(data.store("probe")), len(data.store("select")))
    if least < LEAST_IMAGES:
        raise InputError(
            f"diagnose: expected at least {LEAST_IMAGES} images of probe and select, got {least}; "
            "raise images or pack more labelled samples"
        )


def _named(transformation: str, measures: Metrics) -> Metrics:
    return {f"diag/{measure}/{transformation}": value for measure, value in measures.items()}


def _of_transformation(
    name: str,
    fitted: Passes,
    scored: Passes,
    plain: torch.Tensor,
    probe: LinearProbe | None,
    heads: RelativeLoss | None,
) -> Metrics:
    first = scored.view(name, 0)
    if name not in REGRESSABLE:
        # Two views by sobel are identical: here the untransformed image is the other view.
        return invariance_measures(plain, first.features)
    second = scored.view(name, 1)
    measures = invariance_measures(first.features, second.features)
    pairs = _pairs(fitted.view(name, 0), fitted.view(name, 1))
    ranges = regressed_intervals(name, scored.augmentation)
    measures["equivariance_r2"] = equivariance_r2(pairs, _pairs(first, second), name, ranges)
    if heads is not None and name in heads.heads:
        measures |= head_measures(heads, name, first, second)
    if probe is not None and name in _MOVING:
        before, after = _keypoints(probe, plain), _keypoints(probe, first.features)
        measures |= keypoint_measures(before, after, first.matrix)
    return measures


def _pairs(first: EncodedView, second: EncodedView) -> Pairs:
    return first.features, second.features, first.theta, second.theta


def _keypoints(probe: LinearProbe, features: torch.Tensor) -> torch.Tensor:
    return from_columns(probe.predict(features))[0]


def _own_error(probe: LinearProbe, plain: torch.Tensor, passes: Passes) -> Metrics:
    target, rows = pose_targets(passes.store), torch.from_numpy(passes.chosen)
    error = mean_distance_px(_keypoints(probe, plain), target.uv[rows], target.valid[rows])
    return {"keypoint_own_px": error}
