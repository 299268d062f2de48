"""Crops of a store: a memory-mapped file on the host, or a copy on a device."""

from __future__ import annotations

import mmap
import os
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.data.sample import Rows
from handssl.errors import DataError


class Images(Protocol):
    """Crops by row, on any device."""

    device: torch.device

    def take(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return copies of some crops, uint8 (B, S, S, 3), in `out` if given."""
        ...


class MappedImages:
    """The crops of a store as a memory-mapped file; only the crops used are read.

    Processes share the pages. The map is read-only: a writable private one counts as committed
    memory, and a store larger than the machine's memory would be refused.

    Args:
        path: A numpy file.
        shape: (rows, S, S, 3), as in the manifest.

    Raises:
        DataError: The file is missing, truncated, or of another shape.
    """

    device = torch.device("cpu")

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        offset = images_offset(path, shape)
        with path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.array: NDArray[np.uint8] = np.ndarray(shape, np.uint8, self._memory, offset)
        self._offset, self._row_bytes = offset, int(np.prod(shape[1:]))
        with warnings.catch_warnings():
            # Torch warns that the array is not writable; `take` returns copies.
            warnings.simplefilter("ignore", UserWarning)
            self._flat = torch.from_numpy(self.array).view(shape[0], -1)
        # A store that fits into memory stays there once read and needs no further read-ahead.
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._stays = self.array.nbytes < memory // 2
        self._seen = np.zeros(shape[0], dtype=bool)

    def take(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return copies of some crops.

        All of them are announced to the kernel before the first is read, so the disk serves the
        whole batch at once instead of one crop after the other.

        Args:
            rows: Rows of the store, (B,).
            out: Output buffer, uint8 (B, S, S, 3); reusing one saves the memory allocation.

        Returns:
            uint8 (B, S, S, 3).
        """
        self._announce(rows[~self._seen[rows]] if self._stays else rows)
        self._seen[rows] = True
        shape = (len(rows), *self.array.shape[1:])
        buffer = torch.empty(shape, dtype=torch.uint8) if out is None else out
        torch.index_select(self._flat, 0, torch.from_numpy(rows), out=buffer.view(len(rows), -1))
        return buffer

    def _announce(self, rows: Rows) -> None:
        for start in (self._offset + np.sort(rows) * self._row_bytes).tolist():
            aligned = start - start % mmap.PAGESIZE
            self._memory.madvise(mmap.MADV_WILLNEED, aligned, start + self._row_bytes - aligned)


class ResidentImages:
    """Crops stored on a device.

    Args:
        images: Crops on the device, uint8 (N, S, S, 3).
    """

    def __init__(self, images: torch.Tensor) -> None:
        self.images, self.device = images, images.device

    def take(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return copies of some crops, uint8 (B, S, S, 3), on the device."""
        index = torch.from_numpy(rows).to(self.device, non_blocking=True)
        return torch.index_select(self.images, 0, index, out=out)


def images_offset(path: Path, shape: tuple[int, ...]) -> int:
    """Return the byte offset of the first crop, after checking header and size of the file.

    Raises:
        DataError: The file is missing or has an unexpected header or size.
    """
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("a header of another version")
            found, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected packed crops, found none ({error})") from None
    if (found, fortran, dtype) != (shape, False, np.dtype(np.uint8)) or size != offset + np.prod(
        shape
    ):
        raise DataError(
            f"{path}: expected uint8 {shape}, {offset + int(np.prod(shape))} bytes, found {dtype} "
            f"{found}, {size} bytes; the store was changed after packing: pack it again"
        )
    return offset
