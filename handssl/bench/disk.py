"""Bare disk operations that define the limits of packing and reading, and a scratch folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np

from handssl.data.crops import CROP_PX

_FILE_BYTES = 2**24


def pack_bare(files: list[Path], first: int, descriptor: int) -> None:
    """Do the minimum work of packing: decode, warp once, write, and fsync at the end."""
    side = CROP_PX
    matrix = np.array([[1.1, 0.0, 5.0], [0.0, 1.1, 5.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for row, path in enumerate(files, start=first):
        image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
        crop = cv2.warpAffine(
            image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )
        os.pwrite(descriptor, crop.data, row * crop.nbytes)
    os.fsync(descriptor)


def read_file(path: Path) -> int:
    """Read a whole file sequentially and return the number of crops in it."""
    buffer, size = bytearray(_FILE_BYTES), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            size += count
    return size // (3 * CROP_PX**2)


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Create a temporary folder below a folder, and remove it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(mkdtemp(prefix="bench-data-", dir=folder))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
