"""Pictures within a page, without files beside it."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray


def jpeg_url(image: NDArray[np.uint8], quality: int) -> str:
    """Return an image as a data URL of a JPEG.

    Args:
        image: RGB, uint8 (H, W, 3).
        quality: Quality of the JPEG, 0 to 100.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
