"""Compare predictions with labels; poses are decoded lazily for the protocols."""

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
from handssl.pose.skeleton import BONE, PHALANX, ROOT

_MIN_ALIGNED_JOINTS = 3  # two points are always aligned perfectly
_MM_PER_M = 1000.0
_MIN_PHALANX = 0.01  # in bone lengths; real hands have 0.2 to 0.6


def joint_errors(predicted: Array, target: Array) -> Array:
    """Return the Euclidean distance of every joint to its target.

    Args:
        predicted: (..., J, D), any unit.
        target: (..., J, D), same unit.

    Returns:
        (..., J), in the same unit; (N, 21) for hands of shape (N, 21, 3).

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


def resize(xyz: Floats, length: Floats) -> Floats:
    """Scale hands about the camera so that middle_mcp to middle_pip has a given length.

    Args:
        xyz: (N, 21, 3), any unit.
        length: (N,), in the unit of the result.

    Returns:
        (N, 21, 3); NaN where the phalanx of `xyz` is too short.
    """
    found = np.linalg.norm(xyz[:, PHALANX[0]] - xyz[:, PHALANX[1]], axis=-1)
    usable = found > _MIN_PHALANX * np.linalg.norm(xyz[:, BONE[0]] - xyz[:, BONE[1]], axis=-1)
    factor = np.where(usable, length / np.where(usable, found, 1.0), np.nan)
    return xyz * factor[:, None, None]


def phalanx_length(xyz: Floats, known: Mask) -> Floats:
    """Return the distance middle_mcp to middle_pip (N,) in the unit of `xyz`; NaN if unknown."""
    length = np.linalg.norm(xyz[:, PHALANX[0]] - xyz[:, PHALANX[1]], axis=-1)
    return np.where(known & (length > 0), length, np.nan)


@dataclass(frozen=True, eq=False)
class Comparison:
    """N predicted hands with their ground truth, all validated.

    Attributes:
        uv: Predicted pixels, (N, 21, 2).
        z: Predicted depths in bone lengths, (N, 21).
        labels: Ground truth from `PoseLabels.checked`.
        box_px: Side of the crop box in the pixels of `uv`.
    """

    uv: Floats
    z: Floats
    labels: PoseLabels
    box_px: float

    @cached_property
    def anchored(self) -> NDArray[np.int64]:
        """Hands (M,) with labels for root and bone: only these have a position and a size."""
        return np.flatnonzero(self.labels.valid[:, [ROOT, *BONE]].all(axis=1))

    @cached_property
    def with_true_root(self) -> Floats:
        """Predictions in metres (M, 21, 3), with the root depth of the ground truth."""
        return self._decode(self.labels.xyz[self.anchored, ROOT, 2])

    @cached_property
    def with_recovered_root(self) -> Floats:
        """Predictions in metres (M, 21, 3), with recovered root depth; NaN where degenerate."""
        return self._decode(None)

    @cached_property
    def sized_by_phalanx(self) -> Floats:
        """As `with_recovered_root`, but the phalanx has its true length; NaN without a label."""
        return resize(
            self.with_recovered_root, phalanx_length(self.labels.xyz[self.anchored], self._ends)
        )

    @cached_property
    def rooted(self) -> NDArray[np.int64]:
        """Hands (R,) with a label for the root."""
        return np.flatnonzero(self.labels.valid[:, ROOT])

    @cached_property
    def with_mean_scale(self) -> Floats:
        """As `with_true_root` for `rooted`; without a labelled bone, of the others' mean scale."""
        scale = self.labels.scale[self.rooted]
        known = self.labels.scale[np.isfinite(self.labels.scale)]
        scale = np.where(np.isnan(scale), known.mean() if known.size else np.nan, scale)
        return self._decode(self.labels.xyz[self.rooted, ROOT, 2], self.rooted, scale)

    @cached_property
    def with_source_scale(self) -> dict[str, Floats]:
        """As `with_true_root` and `with_recovered_root`, with the source's mean bone length."""
        if self.labels.source_scale is None:
            raise InputError(
                "labels.source_scale: expected the mean bone length of the data that the probe was "
                "fitted on, got none"
            )
        scale = np.full(len(self.anchored), self.labels.source_scale)
        truth = self.labels.xyz[self.anchored, ROOT, 2]
        return {
            "truth": self._decode(truth, scale=scale),
            "recovered": self._decode(None, scale=scale),
        }

    @property
    def _ends(self) -> Mask:
        """Hands (M,) whose phalanx is labelled."""
        known: Mask = self.labels.valid[self.anchored][:, list(PHALANX)].all(axis=1)
        return known

    def degenerate(self, protocol: Protocol) -> Mask:
        """Return which labelled hands (M,) have no recoverable root depth."""
        lost: Mask = np.isnan(self._predicted(protocol)[:, ROOT, 2])
        return lost & self._ends if protocol.scale == "phalanx" else lost

    def rows(self, protocol: Protocol) -> NDArray[np.int64]:
        """Return the hands (M,) that a protocol in 3D applies to."""
        return self.rooted if protocol.scale == "mean" else self.anchored

    def errors(self, protocol: Protocol) -> tuple[Floats, Mask]:
        """Return the errors of the hands a protocol applies to, and which of them count.

        Args:
            protocol: The protocol.

        Returns:
            Errors (M, 21) in the protocol's unit, and the joints (M, 21) that count.
        """
        labels, some = self.labels, self.rows(protocol)
        if protocol.alignment == "image":
            return joint_errors(self.uv, labels.uv) * (SIDE_PX / self.box_px), labels.valid
        truth, predicted = labels.xyz[some], self._predicted(protocol)
        counted = labels.valid[some] & ~np.isnan(predicted[:, [ROOT], 2])
        if protocol.alignment == "root":
            predicted, truth = predicted - predicted[:, [ROOT]], truth - truth[:, [ROOT]]
        if protocol.alignment in ("procrustes", "mirroring"):
            mirroring = protocol.alignment == "mirroring"
            predicted = align_procrustes(
                predicted, truth, valid=counted, allow_reflection=mirroring
            )
            counted = counted & (counted.sum(axis=1) >= _MIN_ALIGNED_JOINTS)[:, None]
        return joint_errors(predicted, truth) * _MM_PER_M, counted

    def _predicted(self, protocol: Protocol) -> Floats:
        if protocol.scale == "mean":
            return self.with_mean_scale
        if protocol.scale == "source":
            return self.with_source_scale[protocol.root_depth]
        if protocol.root_depth == "truth":
            return self.with_true_root
        return self.sized_by_phalanx if protocol.scale == "phalanx" else self.with_recovered_root

    def _decode(
        self,
        root_depth: Floats | None,
        rows: NDArray[np.int64] | None = None,
        scale: Floats | None = None,
    ) -> Floats:
        some = self.anchored if rows is None else rows
        return decode_2_5d(
            self.uv[some],
            self.z[some],
            self.labels.camera[some],
            scale=self.labels.scale[some] if scale is None else scale,
            root_depth=root_depth,
        )
