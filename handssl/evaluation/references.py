"""Reference results, which put the errors of trials into context.

*Mean pose* predicts the mean label of `probe` for every image; with the *true angle* it is turned
to the angle of each hand, an oracle that knows one number. *RGB ridge* and *HOG ridge* are the
ridge probe on features that nothing has learned. *Random encoder* is the block's initial network:
random, with BatchNorm statistics from one pass over the pretraining images, or with the weights
and statistics of the file that all arms start from. *Supervised* is an ordinary
trial with the objective `supervised`. All but the last two are the same for every seed.
"""

from __future__ import annotations

from pathlib import Path

import torch

from handssl.data.sample import Split
from handssl.data.splits import StudyData
from handssl.evaluation.diagnostics import diagnose
from handssl.evaluation.features import settle_batch_norm
from handssl.evaluation.fixed_features import HogFeatures, RgbFeatures
from handssl.evaluation.predictions import Columns, OnPredictions
from handssl.evaluation.probe import (
    evaluate_encoder,
    evaluate_predictions,
    evaluate_probe,
    fit_probe,
)
from handssl.evaluation.targets import as_columns, complete_hands, from_columns, pose_targets
from handssl.models import EncoderConfig, InitConfig, build_encoder, initialise
from handssl.models.initial_weights import load_initial
from handssl.objectives import PoseTarget
from handssl.pose import BONE
from handssl.transforms import AugmentConfig

_SPLITS: tuple[Split, ...] = ("select", "test")


def mean_pose(data: StudyData, *, keep: OnPredictions | None = None) -> dict[str, float]:
    """Return the metrics of the mean pose of `probe`, on `select` and `test`.

    Args:
        data: The packed splits.
        keep: Called with the predictions once they have been evaluated.

    Returns:
        median_mm, mpje_mm and aligned_median_mm on `select`, the same with `test_` on `test`, and
        every protocol under `mean/`.
    """
    target = pose_targets(data.store("probe"))
    mean = as_columns(target)[complete_hands(target)].mean(0, keepdim=True)
    predictions = {split: mean.expand(len(data.store(split)), -1) for split in _SPLITS}
    return _evaluated(predictions, data, keep, prefix="mean")


def mean_pose_true_angle(data: StudyData, *, keep: OnPredictions | None = None) -> dict[str, float]:
    """Return the metrics of the mean pose turned to the true in-plane angle of every hand.

    With R(a) the rotation of an image by a about the centre of its box, and a_i the angle of the
    line from wrist to middle_mcp in image i, the prediction for hand j is
    R(a_j) mean_i R(-a_i) uv_i, and for z the mean of `probe`. It is an oracle of one number per
    hand: a_j comes from the hand's own label. A hand without a label of one of the two joints
    gets the mean pose.

    Args:
        data: The packed splits.
        keep: Called with the predictions once they have been evaluated.

    Returns:
        The metrics of `mean_pose`, with every protocol under `oracle/`.
    """
    target = pose_targets(data.store("probe"))
    rows = complete_hands(target)
    poses = as_columns(target)[rows]
    mean = poses.mean(0, keepdim=True)
    upright = _turned(poses, -_angles(target)[rows]).mean(0, keepdim=True)
    predictions: dict[Split, torch.Tensor] = {}
    for split in _SPLITS:
        hands = pose_targets(data.store(split))
        angle_known = hands.valid[:, list(BONE)].all(dim=1, keepdim=True)
        turned = _turned(upright.expand(len(hands.uv), -1), _angles(hands))
        predictions[split] = torch.where(angle_known, turned, mean)
    return _evaluated(predictions, data, keep, prefix="oracle")


def _evaluated(
    predictions: Columns, data: StudyData, keep: OnPredictions | None, *, prefix: str
) -> dict[str, float]:
    metrics = evaluate_predictions(predictions, data, prefix=prefix)
    if keep is not None:
        keep(predictions)
    return metrics


def _angles(target: PoseTarget) -> torch.Tensor:
    """Return the angle of wrist to middle_mcp in the image, in radians, (N,)."""
    wrist, middle_mcp = BONE
    x, y = (target.uv[:, middle_mcp] - target.uv[:, wrist]).unbind(-1)
    return torch.atan2(y, x)


def _turned(columns: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Return poses (N, 63) turned in the image, about the box's centre, by angles (N,)."""
    uv, z = from_columns(columns)
    cos, sin = angles.cos(), angles.sin()
    rotations = torch.stack((cos, -sin, sin, cos), dim=-1).view(-1, 2, 2)
    return torch.cat(((uv @ rotations.mT).flatten(1), z), dim=1)


def rgb_ridge(
    config: EncoderConfig, data: StudyData, *, keep: OnPredictions | None = None
) -> dict[str, float]:
    """Return the metrics of the ridge probe on images of 16 x 16 RGB pixels.

    Args:
        config: `input_px` is the side of the view that is averaged.
        data: The packed splits.
        keep: Called with the predictions once they have been evaluated.

    Returns:
        The metrics of `mean_pose`, with every protocol under `ridge/`.
    """
    encoder = RgbFeatures(config)
    return evaluate_encoder(encoder, data, view_px=config.input_px, test=True, keep=keep)


def hog_ridge(
    config: EncoderConfig, data: StudyData, *, keep: OnPredictions | None = None
) -> dict[str, float]:
    """Return the metrics of the ridge probe on histograms of oriented gradients.

    Args:
        config: `input_px` is the side of the view.
        data: The packed splits.
        keep: Called with the predictions once they have been evaluated.

    Returns:
        The metrics of `mean_pose`, with every protocol under `ridge/`.

    Raises:
        InputError: scikit-image is not installed.
    """
    encoder = HogFeatures(config)
    return evaluate_encoder(encoder, data, view_px=config.input_px, test=True, keep=keep)


def random_encoder(
    config: EncoderConfig,
    data: StudyData,
    *,
    seed: int,
    augmentation: AugmentConfig | None = None,
    init: InitConfig | None = None,
    storage: Path | None = None,
    keep: OnPredictions | None = None,
) -> dict[str, float]:
    """Return the metrics of the ridge probe on the block's initial network, and its diagnostics.

    Args:
        config: Configuration of the encoder.
        data: The packed splits.
        seed: The block's seed; the weights equal the initial weights of every arm of the block.
        augmentation: Ranges for the diagnostics; default: the documented ones.
        init: Initial weights of the arms; default: random.
        storage: Root of all results, with the weights whose digest `init` names; None: their file
            is read.
        keep: Called with the predictions once they have been evaluated.

    Returns:
        The metrics of `mean_pose`, every protocol under `ridge/`, and
        `diag/<measure>/<transformation>`.
    """
    encoder = build_encoder(config)
    initialise(encoder, seed=seed, prefix="encoder")
    init = init or InitConfig()
    load_initial(encoder, init, storage)
    if init.is_random:  # weights from a file have statistics
        settle_batch_norm(encoder, data.store("pretrain"), view_px=config.input_px)
    view_px = config.input_px
    probe, selected = fit_probe(encoder, data, view_px=view_px)
    metrics = evaluate_probe(probe, selected, encoder, data, view_px=view_px, test=True, keep=keep)
    return metrics | diagnose(
        encoder,
        data,
        augmentation=augmentation or AugmentConfig(),
        view_px=view_px,
        seed=seed,
        probe=probe,
    )


def measure_reference(
    kind: str,
    config: EncoderConfig,
    data: StudyData,
    *,
    seed: int,
    augmentation: AugmentConfig | None = None,
    init: InitConfig | None = None,
    storage: Path | None = None,
    keep: OnPredictions | None = None,
) -> dict[str, float]:
    """Return the metrics of a reference that is not trained.

    Args:
        kind: One of the kinds in `handssl.ledger.references`.
        config: Configuration of the encoder, as far as the reference reads it.
        data: The packed splits.
        seed: The block's seed.
        augmentation: Ranges for the diagnostics of the random encoder.
        init: Initial weights of the arms.
        storage: Root of all results, with the weights that `init` names.
        keep: Called with the predictions once they have been evaluated.
    """
    measures = {
        "mean_pose": lambda: mean_pose(data, keep=keep),
        "mean_pose_true_angle": lambda: mean_pose_true_angle(data, keep=keep),
        "rgb_ridge": lambda: rgb_ridge(config, data, keep=keep),
        "hog_ridge": lambda: hog_ridge(config, data, keep=keep),
        "random_encoder": lambda: random_encoder(
            config,
            data,
            seed=seed,
            augmentation=augmentation,
            init=init,
            storage=storage,
            keep=keep,
        ),
    }
    return measures[kind]()
