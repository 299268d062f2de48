"""Read the arrays of a .npz file; images are mapped in place if possible.

`np.savez` stores arrays uncompressed, so images can be mapped from inside the file;
`np.savez_compressed` does not, so all images of such a file must be in memory at once.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, local
from typing import Any
from weakref import WeakValueDictionary
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from handssl.errors import DataError

Heads = dict[str, NDArray[Any]]
_LOCAL_HEADER, _LENGTHS = 30, slice(26, 30)


@dataclass(frozen=True)
class Inside:
    """The member `image` of a file.

    Attributes:
        path: The file.
        shape: Shape of the images, (N, H, W, 3).
        fortran: Whether the array is in Fortran order.
        checksum: CRC-32 of the member.
        offset: Byte offset of the pixels in the file; None if they are compressed.
    """

    path: Path
    shape: tuple[int, ...]
    fortran: bool
    checksum: int
    offset: int | None

    def open(self) -> NDArray[np.uint8]:
        """Map the images, or decompress them into memory.

        Raises:
            DataError: The images are damaged.
        """
        with _members(self.path) as arrays:
            if self.offset is None or 0 in self.shape:
                return np.asarray(arrays["image"])
            order: Any = "F" if self.fortran else "C"
            return np.asarray(
                np.memmap(self.path, np.uint8, "r", self.offset, self.shape, order).view(np.ndarray)
            )


def read_members(path: Path) -> tuple[Heads, Inside | None]:
    """Read every array of a file except its images.

    Args:
        path: A .npz file.

    Raises:
        DataError: The file cannot be read, contains Python objects, or its images are not uint8
            (N, H, W, 3).
    """
    with _members(path) as arrays:
        heads = {name: arrays[name] for name in arrays if name != "image"}
        return heads, _inside(path, arrays.zip) if "image" in arrays else None


class Images:
    """Images inside several files; thread-safe.

    Each thread keeps the file that it read last open; threads share files.

    Args:
        members: Image member of each file; None for a file without images inside.
    """

    def __init__(self, members: Sequence[Inside | None]) -> None:
        self._members = members
        self._open: WeakValueDictionary[int, NDArray[np.uint8]] = WeakValueDictionary()
        self._mine, self._lock = local(), Lock()

    def read(self, number: int, row: int) -> NDArray[np.uint8]:
        """Return a copy of one image of file `number`.

        Raises:
            DataError: The images are damaged.
        """
        mine = self._mine
        if getattr(mine, "number", None) != number:
            mine.number = mine.images = None  # release the last file before opening the next
            mine.images, mine.number = self._shared(number), number
        return np.array(mine.images[row], order="C")

    def _shared(self, number: int) -> NDArray[np.uint8]:
        with self._lock:
            images, member = self._open.get(number), self._members[number]
            if images is None and member is not None:
                images = member.open()
                self._open[number] = images
        if images is None:
            raise KeyError(number)
        return images


@contextmanager
def _members(path: Path) -> Iterator[Any]:
    try:
        # Opened here, since numpy leaves a file open that is not a .npz.
        with path.open("rb") as file, ExitStack() as stack:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("a single array; save it with np.savez")
            yield stack.enter_context(arrays)
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected a .npz without pickles, cannot read it ({error})"
        ) from None


def _inside(path: Path, archive: ZipFile) -> Inside:
    entry = archive.getinfo("image.npy")
    with archive.open(entry) as member:
        version = np.lib.format.read_magic(member)
        read: Callable[..., Any] = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(member)
        before = member.tell()
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"image: expected uint8 (N, H, W, 3), found {dtype} {shape}")
    plain = entry.compress_type == ZIP_STORED
    offset = _begin(path, entry.header_offset) + before if plain else None
    return Inside(path, shape, fortran, entry.CRC, offset)


def _begin(path: Path, header_offset: int) -> int:
    """Return the offset of a member's data; its local header may be longer than the directory's."""
    with path.open("rb") as file:
        file.seek(header_offset)
        name, extra = struct.unpack("<HH", file.read(_LOCAL_HEADER)[_LENGTHS])
    return header_offset + _LOCAL_HEADER + int(name) + int(extra)


FIELDS: dict[str, tuple[str, str, str]] = {
    "image": ("uint8", "(N, H, W, 3)", "RGB images inside the file, for small sets"),
    "image_file": ("text", "(N,)", "or their names, relative to the folder of the .npz"),
    "xyz": ("float", "(N, 21, 3)", "joints in the camera frame; x right, y down, z forward"),
    "unit": ("text", "()", "`m` or `mm`, required with `xyz`"),
    "camera": ("float", "(N, 3, 3) or (3, 3)", "pinhole matrices, required with `xyz`"),
    "uv": ("float", "(N, 21, 2)", "joints in pixels; default: `xyz` projected by `camera`"),
    "valid": ("bool", "(N, 21)", "joints whose labels may be used; default: all"),
    "joint_order": ("text", "()", "`handssl` (default) or `interhand`"),
    "side": ("text", "(N,)", "`right` (default) or `left`; left hands are mirrored"),
    "split": ("text", "(N,)", "`pretrain` (default), `probe`, `select` or `test`"),
    "group": ("int", "(N,)", "unit not to be divided, e.g. the recording; default: the sample"),
    "id": ("int", "(N,)", "0 or more, unique over all files; default: the position"),
}
"""Name to (type, shape, meaning); `image` or `image_file` is required, the rest is optional."""


def schema() -> str:
    """Return the schema as a Markdown table."""
    rows = [
        f"| `{name}` | {kind} | {shape} | {what} |" for name, (kind, shape, what) in FIELDS.items()
    ]
    return "\n".join(["| array | type | shape | meaning |", "|---|---|---|---|", *rows])
