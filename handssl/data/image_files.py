"""Read image files and detect damaged ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handssl.errors import DataError

DARKEST = 12
"""An image without any value above this, of 255, counts as black: recordings contain some."""


def read_image(
    path: Path, size_px: tuple[int, int] | None = None, *, oriented: bool = False
) -> NDArray[np.uint8]:
    """Read an RGB image.

    Args:
        path: JPEG, PNG or any format OpenCV reads; one channel becomes three equal ones.
        size_px: Expected (width, height) in pixels; None accepts any.
        oriented: Whether to turn it as its EXIF orientation says; labels of datasets refer to the
            pixels as stored.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        DataError: The file is missing, truncated, not an image, of another size, or all black.
    """
    image = _decode(path, _read_bytes(path), oriented)
    height, width = image.shape[:2]
    if size_px is not None and (width, height) != size_px:
        raise DataError(
            f"{path}: expected {size_px[0]} x {size_px[1]} pixels, found {width} x {height}"
        )
    # A few pixels nearly always suffice.
    if image[::8, ::8].max() <= DARKEST and image.max() <= DARKEST:
        raise DataError(f"{path}: expected a hand, found an all-black image")
    return image


def _read_bytes(path: Path) -> NDArray[np.uint8]:
    try:
        with path.open("rb", buffering=0) as file:
            return np.frombuffer(file.read(), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path}: expected an image, found none ({error.strerror})") from None


def _decode(path: Path, data: NDArray[np.uint8], oriented: bool) -> NDArray[np.uint8]:
    # OpenCV silently fills the lower part of a truncated JPEG with grey: check the end marker.
    jpeg = data[:2].tobytes() == b"\xff\xd8"
    whole = not jpeg or b"\xff\xd9" in data[-64:].tobytes()
    flags = cv2.IMREAD_COLOR_RGB | (0 if oriented else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        image = cv2.imdecode(data, flags) if len(data) and whole else None
    except cv2.error:  # more pixels than OpenCV takes
        image = None
    if image is None:
        kind = "JPEG" if jpeg or path.suffix.lower() in (".jpg", ".jpeg") else "image"
        raise DataError(
            f"{path}: expected a whole {kind}, found {len(data)} bytes that are not one"
        )
    return np.asarray(image, dtype=np.uint8)
