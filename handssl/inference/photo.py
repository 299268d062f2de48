"""A photo of one hand, with what its user knows: box, side, camera, size of the hand."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handssl.data.image_files import read_image
from handssl.errors import DataError, InputError

SMALLEST_PX = 16
"""Least side of an image and of a box: there is no hand to see in fewer pixels."""
LARGEST_PIXELS = 100_000_000
"""Most pixels of an image, 300 MB in memory."""

Side = Literal["right", "left"]
Box = tuple[float, float, float, float]
Pinhole = tuple[float, float, float, float]
_PLAIN_ORIENTATION, _ORIENTATION_TAG = 1, 0x0112


@dataclass(frozen=True, eq=False)
class Photo:
    """One image of one hand.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        name: Name of the image.
        box: Box around the hand, (x, y, width, height) in pixels; None: the image is a crop.
        side: Handedness.
        camera: (fx, fy, cx, cy) in pixels; None: not known.
        bone_mm: Length of the bone wrist to middle_mcp in mm; None: not known.
        notes: What was assumed when it was read.

    Raises:
        InputError: A value is not valid.
    """

    image: NDArray[np.uint8]
    name: str = "image"
    box: Box | None = None
    side: Side = "right"
    camera: Pinhole | None = None
    bone_mm: float | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(
                f"{self.name}: expected an RGB image, uint8 (H, W, 3), got {image.dtype} "
                f"{image.shape}"
            )
        if min(image.shape[:2]) < SMALLEST_PX:
            raise InputError(
                f"{self.name}: expected an image of at least {SMALLEST_PX} x {SMALLEST_PX} pixels, "
                f"got {image.shape[1]} x {image.shape[0]}"
            )
        if self.side not in ("right", "left"):
            raise InputError(f"side: expected right or left, got {self.side!r}")
        self._check_box()
        self._check_camera()
        if self.bone_mm is not None and not 20 <= self.bone_mm <= 200:
            raise InputError(
                f"bone: expected the length wrist to middle knuckle, 20 to 200 mm (of adults 80 to "
                f"100), got {self.bone_mm:g}"
            )

    def _check_box(self) -> None:
        if self.box is None:
            return
        if not all(math.isfinite(one) for one in self.box):
            raise InputError(f"box: expected x, y, width, height in pixels, got {self.box}")
        x, y, width, height = self.box
        rows, columns = self.image.shape[:2]
        if min(width, height) < SMALLEST_PX:
            raise InputError(
                f"box: expected at least {SMALLEST_PX} x {SMALLEST_PX} pixels, got {width:g} x "
                f"{height:g}"
            )
        if not (x < columns and y < rows and x + width > 0 and y + height > 0):
            raise InputError(
                f"box: expected a box inside {self.name}, {columns} x {rows} pixels, got "
                f"{x:g},{y:g},{width:g},{height:g}"
            )

    def _check_camera(self) -> None:
        if self.camera is None:
            return
        fx, fy, *_ = self.camera
        if not (all(math.isfinite(one) for one in self.camera) and fx > 0 and fy > 0):
            raise InputError(
                "camera: expected fx,fy,cx,cy in pixels with fx, fy > 0, got "
                f"{','.join(f'{one:g}' for one in self.camera)}"
            )


def read_photo(
    path: Path,
    *,
    box: Box | None = None,
    side: Side = "right",
    camera: Pinhole | None = None,
    bone_mm: float | None = None,
) -> Photo:
    """Read a photo, turned as its EXIF orientation says.

    Args:
        path: JPEG, PNG or any format OpenCV reads.
        box: Box around the hand, (x, y, width, height) in pixels of the turned image.
        side: Handedness.
        camera: (fx, fy, cx, cy) in pixels of the turned image.
        bone_mm: Length of the bone wrist to middle_mcp in mm.

    Raises:
        DataError: The file is missing, not an image, too large or all black.
        InputError: A value is not valid, or the image is too small.
    """
    turned = _is_turned(path)
    image = read_image(path, oriented=True)
    notes = ("image: turned by its EXIF orientation",) if turned else ()
    return Photo(image, str(path), box, side, camera, bone_mm, notes)


def _is_turned(path: Path) -> bool:
    """Refuse an image too large for the memory; return whether its EXIF data turn it."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as header:
                width, height = header.size
                turned = header.getexif().get(_ORIENTATION_TAG, _PLAIN_ORIENTATION)
    except Image.DecompressionBombError:
        raise _too_large(path, "more") from None
    except (OSError, ValueError, SyntaxError):
        return False  # the reader below says what is wrong, or knows the format
    if width * height > LARGEST_PIXELS:
        raise _too_large(path, f"{width:,} x {height:,}")
    return bool(turned != _PLAIN_ORIENTATION)


def _too_large(path: Path, found: str) -> DataError:
    return DataError(
        f"{path}: expected at most {LARGEST_PIXELS // 10**6} million pixels, found {found}; crop "
        "it to the hand"
    )
