"""Crop one sample's image and transform its labels and camera with it.

A crop is centred on the box around the labelled joints (`handssl.pose.crop_box`), or on the
sample's own box; without either, the largest central square is the box. Pixel coordinates count
from the centre of the first pixel, as in the datasets.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.sample import Sample
from handssl.errors import DataError
from handssl.pose.crop_rules import CropRule, crop_box

CROP_PX = 224
"""Holds 128 pixels of the box, as many as the paper's networks take, in a crop of `CONTEXT`."""
CONTEXT = 1.75
"""Covers one view of the box turned by 45 degrees and moved by 0.15 of its side (1.71)."""

Floats = NDArray[np.float64]
Row = dict[str, Any]


def crop_sample(
    sample: Sample, crop_px: int, context: float, rule: CropRule = "published"
) -> tuple[NDArray[np.uint8], Row]:
    """Crop one sample and transform its labels with it.

    Args:
        sample: Sample of a reader.
        crop_px: Side S of the crop in pixels.
        context: Side of the crop in box sides.
        rule: Box around labelled joints, `published` or `extent`.

    Returns:
        The crop, uint8 (S, S, 3), and its row of labels: ids, groups, valid, mirrored, uv (crop
        pixels), xyz (m), camera, and `outside`, the share of the crop outside the image.
        Missing labels are 0 with `valid` false.

    Raises:
        DataError: The box has no area.
    """
    centre, side_px = box_of(sample, rule)
    scale = context * side_px / crop_px
    # Crop pixel c shows source pixel centre + (c + 1/2 - S/2) scale.
    origin = centre + (0.5 - crop_px / 2) * scale
    row: Row = {
        "ids": np.int64(sample.id),
        "groups": np.int64(sample.group),
        "mirrored": np.bool_(sample.mirrored),
        "outside": _outside_share(sample.image.shape[:2], origin, scale, crop_px),
        **_labels(sample, origin, scale),
    }
    return _warp(sample.image, origin, scale, crop_px), row


def box_of(sample: Sample, rule: CropRule = "published") -> tuple[Floats, float]:
    """Return centre (x, y) and side of a sample's crop box in pixels of its image.

    It is the box of the valid joints by the rule; without labels, or if a detector's box has
    priority, it is the sample's own box, or else the largest central square.

    Args:
        sample: Sample of a reader.
        rule: `published` or `extent`, see `handssl.pose.crop_box`.

    Raises:
        DataError: The joints coincide, or none is valid.
    """
    if sample.box is not None and sample.box_first:
        centre, side_px = np.array(sample.box[:2]), sample.box[2]
    elif sample.uv is not None and sample.valid.any():
        joints = sample.uv if sample.valid.all() else sample.uv[sample.valid]
        centre, side_px = crop_box(joints, rule)
    elif sample.box is not None:
        centre, side_px = np.array(sample.box[:2]), sample.box[2]
    else:
        height, width = sample.image.shape[:2]
        centre, side_px = np.array([(width - 1) / 2, (height - 1) / 2]), float(min(height, width))
    if not 0 < side_px < math.inf:
        raise DataError(
            f"{sample.source}: id {sample.id}: expected joints with an extent, found a box of "
            f"{side_px:g} px"
        )
    return centre, side_px


def _warp(
    image: NDArray[np.uint8], origin: Floats, scale: float, crop_px: int
) -> NDArray[np.uint8]:
    """Resample; a reduced image is blurred first, so that finer detail than a pixel doesn't alias.

    A pixel of a camera averages over its own square (variance 1/12 of its side squared) and linear
    interpolation over a triangle (1/6, on average over positions), 1/4 in total. A blur of variance
    (scale^2 - 1) / 4 makes it 1/4 of the side of a crop pixel at every scale above 1: it begins
    with 0, and how sharp a crop is does not tell how large the hand was. From scale 4 on blocks are
    averaged before, which have the same variance as the part of the blur that they replace.
    """
    factor = int(scale / 2)
    if factor > 1:
        height, width = image.shape[:2]
        size = (max(1, width // factor), max(1, height // factor))
        whole = image[: size[1] * factor, : size[0] * factor]
        image = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        # The centre of a block of f pixels lies (f - 1) / 2 beyond its first.
        origin, scale = (origin - (factor - 1) / 2) / factor, scale / factor
    if scale > 1:
        sigma = 0.5 * math.sqrt(scale**2 - 1.0)
        blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        image = np.asarray(blurred, dtype=np.uint8)
    to_source = np.array([[scale, 0.0, origin[0]], [0.0, scale, origin[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(
        image, to_source, (crop_px, crop_px), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(crop, dtype=np.uint8)


def _labels(sample: Sample, origin: Floats, scale: float) -> Row:
    if sample.uv is None or sample.xyz is None or sample.camera is None:
        nothing = np.zeros(21, dtype=bool)
        return {
            "valid": nothing,
            "uv": np.zeros((21, 2)),
            "xyz": np.zeros((21, 3)),
            "camera": np.eye(3),
        }
    to_crop = np.array([[1, 0, -origin[0]], [0, 1, -origin[1]], [0, 0, scale]]) / scale
    uv, xyz = (sample.uv - origin) / scale, sample.xyz
    if not sample.valid.all():
        known = sample.valid[:, None]
        uv, xyz = np.where(known, uv, 0.0), np.where(known, xyz, 0.0)
    return {"valid": sample.valid, "uv": uv, "xyz": xyz, "camera": to_crop @ sample.camera}


def _outside_share(
    shape: tuple[int, int], origin: Floats, scale: float, crop_px: int
) -> np.float64:
    height, width = shape
    inside = _inside(origin[0], scale, width, crop_px) * _inside(origin[1], scale, height, crop_px)
    return np.float64(1.0 - inside / crop_px**2)


def _inside(origin: float, scale: float, length: int, crop_px: int) -> int:
    """Count the c in [0, crop_px) with -0.5 <= origin + c scale <= length - 0.5."""
    first = max(0, math.ceil((-0.5 - origin) / scale))
    last = min(crop_px - 1, math.floor((length - 0.5 - origin) / scale))
    return max(0, last - first + 1)
