"""Draw a predicted hand over its photo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.data.contact_sheet import draw_skeleton
from handssl.inference.hand_pose import HandPose

LARGEST_PX = 1280
_BOX = (214, 217, 222)


def overlay(pose: HandPose, *, largest_px: int = LARGEST_PX) -> NDArray[np.uint8]:
    """Return the photo with the skeleton and the crop box, reduced if it is larger.

    Args:
        pose: The predicted hand.
        largest_px: Longest side of the result in pixels.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    image = pose.photo.image
    factor = min(1.0, largest_px / max(image.shape[:2]))
    size = [max(1, round(side * factor)) for side in (image.shape[1], image.shape[0])]
    canvas = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    x, y, side_px = pose.box
    width_px = max(1, round(max(size) / 250))
    corners = [(v + 0.5) * factor - 0.5 for v in (x, y)]
    half = side_px * factor / 2
    low, high = ([round(c + sign * half) for c in corners] for sign in (-1, 1))
    cv2.rectangle(canvas, low, high, _BOX, max(1, width_px // 2), cv2.LINE_AA)
    uv = (pose.uv + 0.5) * factor - 0.5
    draw_skeleton(canvas, uv, np.isfinite(uv).all(axis=1), width_px=width_px)
    return np.asarray(canvas, dtype=np.uint8)
