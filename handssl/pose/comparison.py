"""Predictions beside their labels, decoded when a protocol first asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handssl.errors import InputError
from handssl.pose.arrays import Array, as_floats
from handssl.pose.labels import Floats, Mask, PoseLabels
from handssl.pose.pose25d import decode_2_5d
from handssl.pose.procrustes import align_procrustes
from handssl.pose.protocols import SIDE_PX, Protocol
from handssl.pose.skeleton import BONE, ROOT

_MIN_ALIGNED_JOINTS = 3  # two points are always aligned perfectly
_MM_PER_M = 1000.0


def joint_errors(predicted: Array, target: Array) -> Array:
    """Return the Euclidean distance of every joint to its target.

    Args:
        predicted: (..., J, D), any unit.
        target: (..., J, D), same unit.

    Returns:
        (..., J), in that unit; for hands of shape (N, 21, 3) it is (N, 21).

    Raises:
        InputError: The shapes differ.

    Example:
        >>> import numpy as np
        >>> joint_errors(np.zeros((1, 2, 3)), np.array([[[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]]]))
        array([[5., 2.]])
    """
    points = as_floats("predicted", predicted)
    goal = as_floats("target", target, like=points)
    if tuple(goal.shape) != tuple(points.shape) or points.ndim < 2:
        raise InputError(
            f"expected predicted and target of one shape (..., J, D), "
            f"got {tuple(points.shape)} and {tuple(goal.shape)}"
        )
    difference = points - goal
    errors: Array = (difference * difference).sum(-1) ** 0.5
    return errors


@dataclass(frozen=True, eq=False)
class Comparison:
    """N predicted hands and the truth about them, all checked.

    Attributes:
        uv: (N, 21, 2), predicted pixels.
        z: (N, 21), predicted depths in bone lengths.
        labels: From `PoseLabels.checked`.
        box_px: Side of the crop box in these pixels.
    """

    uv: Floats
    z: Floats
    labels: PoseLabels
    box_px: float

    @cached_property
    def anchored(self) -> NDArray[np.int64]:
        """Hands (M,) with labels for root and bone: only these have a place and a size."""
        return np.flatnonzero(self.labels.valid[:, [ROOT, *BONE]].all(axis=1))

    @cached_property
    def with_true_root(self) -> Floats:
        """Predictions in metres (M, 21, 3), the depth of the root taken from the truth."""
        return self._decode(self.labels.xyz[self.anchored, ROOT, 2])

    @cached_property
    def with_recovered_root(self) -> Floats:
        """Predictions in metres (M, 21, 3) from the image alone; NaN where degenerate."""
        return self._decode(None)

    @cached_property
    def degenerate(self) -> Mask:
        """Hands (M,) whose root depth cannot be recovered."""
        return np.isnan(self.with_recovered_root[:, ROOT, 2])

    def errors(self, protocol: Protocol) -> tuple[Floats, Mask]:
        """Return the errors of the hands a protocol can judge, and which of them count.

        Args:
            protocol: The measure.

        Returns:
            Errors (M, 21) in the protocol's unit, and the joints (M, 21) that count.
        """
        labels, some = self.labels, self.anchored
        if protocol.alignment == "image":
            return joint_errors(self.uv, labels.uv) * (SIDE_PX / self.box_px), labels.valid
        truth, counted, predicted = labels.xyz[some], labels.valid[some], self.with_true_root
        if protocol.root_depth == "recovered":
            predicted, counted = self.with_recovered_root, counted & ~self.degenerate[:, None]
        if protocol.alignment == "root":
            predicted, truth = predicted - predicted[:, [ROOT]], truth - truth[:, [ROOT]]
        if protocol.alignment == "procrustes":
            predicted = align_procrustes(predicted, truth, valid=counted)
            counted = counted & (counted.sum(axis=1) >= _MIN_ALIGNED_JOINTS)[:, None]
        return joint_errors(predicted, truth) * _MM_PER_M, counted

    def _decode(self, root_depth: Floats | None) -> Floats:
        some, labels = self.anchored, self.labels
        return decode_2_5d(
            self.uv[some],
            self.z[some],
            labels.camera[some],
            scale=labels.scale[some],
            root_depth=root_depth,
        )
