"""Validate ground truth and predictions of hands and convert them to float64 numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from handssl.errors import DivergedError, InputError
from handssl.pose.arrays import as_floats
from handssl.pose.skeleton import BONE, JOINT_COUNT

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LARGEST = 1e9  # pixels or bone lengths; larger values are not predictions


@dataclass(frozen=True, eq=False)
class PoseLabels:
    """Ground truth of N hands; numpy arrays or tensors.

    Attributes:
        uv: Joints in pixels of the image of the predictions, (N, 21, 2).
        xyz: Joints in metres in the camera frame, (N, 21, 3).
        camera: Pinhole matrices of that image, (N, 3, 3) or (3, 3).
        valid: Joints whose labels may be used, bool (N, 21); default: all.
        scale: True length of the bone wrist to middle_mcp in metres, (N,); default: from `xyz`.
        left: Left hands, mirrored or not, bool (N,); default: none.
        source_scale: Mean length of the bone in the data that a probe was fitted on, in metres.
    """

    uv: Any
    xyz: Any
    camera: Any
    valid: Any = None
    scale: Any = None
    left: Any = None
    source_scale: float | None = None

    def checked(self, count: int) -> PoseLabels:
        """Return the labels of `count` hands as numpy, with every field filled.

        Args:
            count: Number N of predicted hands.

        Returns:
            float64 labels, uv and xyz 0 where invalid, and a bool mask; scale is NaN for hands
            without a labelled bone.

        Raises:
            InputError: A shape is wrong, a valid label is not finite, or a bone has no length.
        """
        valid = _as_mask("labels.valid", self.valid, (count, JOINT_COUNT), default=True)
        known: Mask = np.all(valid[:, list(BONE)], axis=1)
        xyz = _labelled("labels.xyz", self.xyz, valid, 3)
        camera = self.camera
        if np.ndim(camera) == 2:
            camera = np.broadcast_to(_as_numpy("labels.camera", camera), (count, 3, 3))
        return PoseLabels(
            uv=_labelled("labels.uv", self.uv, valid, 2),
            xyz=xyz,
            camera=_rows("labels.camera", camera, count, 3, 3),
            valid=valid,
            scale=_as_scale(self.scale, xyz, known),
            left=_as_mask("labels.left", self.left, (count,), default=False),
            source_scale=self.source_scale,
        )


def check_predictions(uv: ArrayLike, z: ArrayLike) -> tuple[Floats, Floats]:
    """Return predicted uv (N, 21, 2) and z (N, 21) as float64 numpy.

    Raises:
        InputError: There is no hand, or a shape is wrong.
        DivergedError: A value is not finite or implausibly large.
    """
    pixels = _as_numpy("uv", uv, JOINT_COUNT, 2)
    if pixels.ndim != 3 or len(pixels) == 0:
        raise InputError(
            f"uv: expected shape (N, 21, 2) with at least one hand, got {pixels.shape}"
        )
    depths = _rows("z", z, len(pixels), JOINT_COUNT)
    for name, values in (("uv", pixels), ("z", depths)):
        # Written so that NaN, which compares false, is detected too.
        lost = ~(np.abs(values) < _LARGEST)
        if lost.any():
            hands = np.flatnonzero(lost.reshape(len(lost), -1).any(axis=1))
            raise DivergedError(
                f"{name}: expected finite predictions below {_LARGEST:g}, got "
                f"{values[lost][0]} in {len(hands)} of {len(values)} hands, the first at row "
                f"{hands[0]}; the encoder or the probe has diverged"
            )
    return pixels, depths


def _as_numpy(name: str, values: Any, *tail: int) -> Floats:
    array = as_floats(name, values, *tail)
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    return np.asarray(array, dtype=np.float64)


def _rows(name: str, values: Any, count: int, *tail: int) -> Floats:
    array = _as_numpy(name, values, *tail)
    if array.shape != (count, *tail):
        raise InputError(f"{name}: expected shape {(count, *tail)}, got {array.shape}")
    return array


def _as_mask(name: str, values: Any, shape: tuple[int, ...], *, default: bool) -> Mask:
    if values is None:
        return np.full(shape, default)
    mask = np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values)
    if mask.shape != shape or mask.dtype != bool:
        raise InputError(
            f"{name}: expected bool of shape {shape}, got {mask.dtype} of shape {mask.shape}"
        )
    return mask


def _labelled(name: str, values: Any, valid: Mask, axes: int) -> Floats:
    """Return labels with 0 where they are invalid; valid ones must be finite."""
    labels = _rows(name, values, len(valid), JOINT_COUNT, axes)
    lost = valid & ~np.isfinite(labels).all(axis=-1)
    if lost.any():
        hand, joint = np.argwhere(lost)[0]
        raise InputError(
            f"{name}: expected finite labels where valid, got {labels[hand, joint]} at hand "
            f"{hand}, joint {joint} ({int(lost.sum())} such joints); mark them invalid"
        )
    return np.where(valid[..., None], labels, 0.0)


def _as_scale(scale: Any, xyz: Floats, known: Mask) -> Floats:
    """Return bone lengths (N,) in metres, NaN for hands whose bone is not `known`."""
    lengths = np.linalg.norm(xyz[:, BONE[0]] - xyz[:, BONE[1]], axis=-1)
    if scale is not None:
        lengths = _rows("labels.scale", scale, len(xyz))
    bad = known & ~((lengths > 0) & (lengths < np.inf))
    if bad.any():
        hand = np.flatnonzero(bad)[0]
        raise InputError(
            f"labels.scale: expected a positive bone length in metres, got {lengths[hand]} at "
            f"hand {hand} ({int(bad.sum())} such hands)"
        )
    return np.where(known, lengths, np.nan)
