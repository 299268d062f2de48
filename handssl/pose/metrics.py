"""Compute the errors of predicted 2.5D poses under named protocols."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from handssl.config import nearest
from handssl.errors import InputError
from handssl.pose.comparison import Comparison
from handssl.pose.labels import Floats, Mask, PoseLabels, check_predictions
from handssl.pose.protocols import CROSS, OFFICIAL, PROTOCOLS, Protocol
from handssl.pose.skeleton import JOINT_COUNT
from handssl.pose.statistics import STATISTICS


def pose_metrics(
    uv: ArrayLike,
    z: ArrayLike,
    labels: PoseLabels,
    *,
    box_px: float,
    protocols: Sequence[str] = tuple(PROTOCOLS),
) -> dict[str, float]:
    """Compare predicted 2.5D poses with the ground truth, in float64.

    A joint counts if its label is valid; in 3D the labels of wrist and middle_mcp must also be
    valid, since they define root and scale (for `interhand` the wrist is enough), and `pa_21` needs
    three valid joints. Hands whose root depth cannot be recovered are excluded from the `recovered`
    protocols and counted.

    Args:
        uv: (N, 21, 2), predicted pixels, in the image of the labels.
        z: (N, 21), predicted relative depths in bone lengths; ignored at the root.
        labels: Ground truth.
        box_px: Side of the crop box in the pixels of `uv`.
        protocols: Ids from `PROTOCOLS`, `OFFICIAL` or `CROSS`; default: all of `PROTOCOLS`.

    Returns:
        `<protocol>/<statistic>_<unit>` for each statistic of the protocol;
        `<protocol>/degenerate_count` if the root depth is recovered, which is the only entry if
        all hands are degenerate.

    Raises:
        InputError: There is no hand or no joint that counts, a shape is wrong, labels are not
            finite, or a protocol is unknown.
        DivergedError: A prediction is not finite or implausibly large.

    Example:
        >>> import numpy as np
        >>> from handssl.pose import encode_2_5d
        >>> xyz = np.random.default_rng(0).uniform(-0.1, 0.1, (4, 21, 3)) + (0.0, 0.0, 0.6)
        >>> camera = np.array([[500.0, 0.0, 112.0], [0.0, 500.0, 112.0], [0.0, 0.0, 1.0]])
        >>> truth = encode_2_5d(xyz, camera)
        >>> labels = PoseLabels(truth.uv, xyz, camera)
        >>> metrics = pose_metrics(truth.uv + (3.0, 4.0), truth.z, labels, box_px=64.0)
        >>> round(metrics["px_21/median_px"], 6)
        10.0
        >>> round(metrics["root_gtroot_20/median_mm"], 1) < 2.0
        True
    """
    if not 0.0 < box_px < float("inf"):
        raise InputError(f"box_px: expected a positive number of pixels, got {box_px}")
    uv_px, depths = check_predictions(uv, z)
    hands = Comparison(uv_px, depths, labels.checked(len(uv_px)), box_px)
    known = PROTOCOLS | OFFICIAL | CROSS
    metrics: dict[str, float] = {}
    for name in protocols:
        if name not in known:
            raise InputError(f"protocols: unknown name {name!r}{nearest(name, known)}")
        metrics |= _statistics(known[name], hands)
    return metrics


def _statistics(protocol: Protocol, hands: Comparison) -> dict[str, float]:
    errors, counted = hands.errors(protocol)
    first = JOINT_COUNT - protocol.joints
    errors, counted = errors[:, first:], counted[:, first:]
    if protocol.sides:
        errors, counted = _apart(errors, counted, hands.labels.left[hands.rows(protocol)])
    metrics: dict[str, float] = {}
    if protocol.root_depth == "recovered":
        metrics[f"{protocol.id}/degenerate_count"] = float(hands.degenerate(protocol).sum())
    elif not counted.any():
        raise InputError(
            f"{protocol.id}: expected at least one joint that counts, got none; "
            f"check the mask of valid joints"
        )
    if counted.any():
        for name in protocol.statistics:
            unit = "" if name == "auc_50mm" else f"_{protocol.unit}"
            metrics[f"{protocol.id}/{name}{unit}"] = STATISTICS[name](errors, counted)
    return metrics


def _apart(errors: Floats, counted: Mask, left: Mask) -> tuple[Floats, Mask]:
    """Return errors and mask (N, 2 J): columns of right hands, then of left ones."""
    sides = np.stack((~left, left), axis=1)[:, :, None]
    both = (counted[:, None] & sides).reshape(len(left), -1)
    return np.tile(errors, 2), both
