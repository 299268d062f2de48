"""The crops of a store: a file in memory on the host, or a copy on a device."""

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
    """Crops by row, wherever they live."""

    device: torch.device

    def take(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return copies of some crops, uint8 (B, S, S, 3), in `out` if given."""
        ...


class MappedImages:
    """The crops of a store as a file in memory; only what is used is read.

    Processes share the pages. The map is read-only: a writable private one counts as memory that
    may be needed, and a store larger than the machine's would be refused.

    Args:
        path: A numpy file.
        shape: (rows, S, S, 3), as the manifest has it.

    Raises:
        DataError: The file is missing, cut, or of another shape.
    """

    device = torch.device("cpu")

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        offset = images_offset(path, shape)
        with path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.array: NDArray[np.uint8] = np.ndarray(shape, np.uint8, self._memory, offset)
        self._offset, self._row_bytes = offset, int(np.prod(shape[1:]))
        with warnings.catch_warnings():
            # Torch warns that nobody may write here; nobody does, `take` gives copies.
            warnings.simplefilter("ignore", UserWarning)
            self._flat = torch.from_numpy(self.array).view(shape[0], -1)
        # What fits into memory stays there once read, so the disk need not be told again.
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._stays = self.array.nbytes < memory // 2
        self._seen = np.zeros(shape[0], dtype=bool)

    def take(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return copies of some crops.

        The disk is told of all of them before the first is read: it then serves a batch at once,
        where page by page it would serve one crop after the other.

        Args:
            rows: (B,).
            out: uint8 (B, S, S, 3) to write to; a buffer that is used again saves the time the
                system takes to hand out memory.

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
    """Crops that live on a device.

    Args:
        images: uint8 (N, S, S, 3), on the device.
    """

    def __init__(self, images: torch.Tensor) -> None:
        self.images, self.device = images, images.device

    def take(self, rows: Rows, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return copies of some crops, uint8 (B, S, S, 3), on the device."""
        index = torch.from_numpy(rows).to(self.device, non_blocking=True)
        return torch.index_select(self.images, 0, index, out=out)


def images_offset(path: Path, shape: tuple[int, ...]) -> int:
    """Return where the first crop begins, after checking that the file holds what it should.

    Raises:
        DataError: It does not.
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
