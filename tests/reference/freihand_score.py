"""Score predictions offline with FreiHAND's official joint statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handssl.data.readers.freihand import FreihandReader
from handssl.data.readers.freihand.annotations import open_annotations
from handssl.errors import DataError, InputError
from handssl.evaluation.freihand_export import read_freihand_predictions
from handssl.pose import OFFICIAL, Protocol, align_procrustes, joint_errors
from handssl.pose.statistics import STATISTICS

_MM_PER_M = 1000.0
_ALIGNED = ("procrustes", "mirroring")
Floats = NDArray[np.float64]


def freihand_statistics(predicted: Floats, truth: Floats) -> dict[str, float]:
    """Compare joints with the ground truth like the official evaluation; all hands count.

    Args:
        predicted: (N, 21, 3), metres in the camera frame.
        truth: (N, 21, 3), metres.

    Returns:
        `<protocol>/<statistic>` of the FreiHAND protocols, named as by `pose_metrics`.

    Raises:
        InputError: Shapes differ, there is no hand, or a joint is not finite.

    Example:
        >>> truth = np.random.default_rng(0).uniform(-0.1, 0.1, (4, 21, 3))
        >>> scores = freihand_statistics(truth + (0.0, 0.0, 0.025), truth)
        >>> round(scores["freihand_21/joint_mean_mm"], 6), round(scores["freihand_21/auc_50mm"], 2)
        (25.0, 0.5)
    """
    given, goal = _checked("predicted", predicted), _checked("truth", truth)
    if given.shape != goal.shape:
        raise InputError(f"expected as many hands as labels, got {given.shape} and {goal.shape}")
    counted = np.ones(given.shape[:2], dtype=bool)
    scores: dict[str, float] = {}
    for protocol in OFFICIAL.values():
        if protocol.scale != "phalanx":
            continue
        errors = joint_errors(_aligned(protocol, given, goal), goal) * _MM_PER_M
        for name in protocol.statistics:
            unit = "" if name == "auc_50mm" else f"_{protocol.unit}"
            scores[f"{protocol.id}/{name}{unit}"] = STATISTICS[name](errors, counted)
    return scores


def score_freihand(predictions: Path, truth: FreihandReader | Floats) -> dict[str, float]:
    """Score a prediction file with the official statistics of the joints.

    Args:
        predictions: File from `write_freihand_predictions`, .json or .zip.
        truth: A reader with the evaluation set, or its joints (N, 21, 3) in metres.

    Returns:
        Result of `freihand_statistics`. The file does not mark hands with a fallback depth: all
        count. F-scores need a mesh and are not included, see `handssl.pose.F_SCORES`.

    Raises:
        DataError: The file is damaged, or has a wrong number of hands.
        InputError: The reader has no evaluation set.
    """
    labels = _evaluation_xyz(truth) if isinstance(truth, FreihandReader) else truth
    xyz = read_freihand_predictions(predictions)
    if len(xyz) != len(labels):
        raise DataError(
            f"{predictions}: expected {len(labels)} hands, found {len(xyz)}; "
            "predict the whole evaluation set, in its order"
        )
    if not np.isfinite(xyz).all():
        raise DataError(
            f"{predictions}: expected finite joints, found NaN or infinity; write again"
        )
    return freihand_statistics(xyz, labels)


def _aligned(protocol: Protocol, predicted: Floats, truth: Floats) -> Floats:
    if protocol.alignment not in _ALIGNED:
        return predicted
    mirroring = protocol.alignment == "mirroring"
    return align_procrustes(predicted, truth, allow_reflection=mirroring)


def _evaluation_xyz(reader: FreihandReader) -> Floats:
    if reader.evaluation_root is None:
        raise InputError(
            f"{reader.root}: expected the annotated evaluation set, found none; "
            "FreiHAND_pub_v2_eval.zip holds it"
        )
    count = len(reader.splits["evaluation"])
    return open_annotations(reader.evaluation_root, "evaluation", count).xyz


def _checked(name: str, xyz: Floats) -> Floats:
    points = np.asarray(xyz, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (21, 3) or len(points) == 0:
        raise InputError(f"{name}: expected shape (N, 21, 3) with a hand, got {points.shape}")
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0, 0])
        raise InputError(f"{name}: expected finite joints, got NaN or infinity at row {row}")
    return points
