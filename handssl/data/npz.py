"""Any labelled dataset, converted: one .npz, or a folder of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from handssl.data.images import DARKEST, read_image
from handssl.data.mirroring import mirrored
from handssl.data.npz_table import read_table
from handssl.data.sample import SPLITS, Rows, Sample, Split
from handssl.errors import DataError


class NpzReader:
    """The samples of one .npz, or of all in a folder, in the order of their names.

    The arrays are those of `handssl.data.npz_schema.FIELDS`. Images named by `image_file` are read
    one by one; `image` holds them inside, for small sets: those of one .npz are kept in memory.
    Left hands are mirrored. A `group` must not be in two of probe, select and test.

    Args:
        root: The file or the folder.

    Raises:
        DataError: An array is missing or not what the schema says, or a group is divided.
    """

    name = "npz"
    split_rule = "as the files say; no group is in two of probe, select and test"

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._tables = [read_table(path) for path in _files(self.root)]
        self._ends = np.cumsum([len(table) for table in self._tables])
        self._ids, self._groups = (self._numbers(name) for name in ("id", "group"))
        self._check_ids()
        self.splits: Mapping[Split, Rows] = self._positions()
        self._check_groups()
        self.fingerprint = self._fingerprint()
        self._images: tuple[int, NDArray[np.uint8]] | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        table = self._tables[number]
        row = index - int(self._ends[number]) + len(table)
        sample = Sample(
            image=self._image(index, number, row),
            id=int(self._ids[index]),
            group=int(self._groups[index]),
            source=f"{table.path}: row {row}",
            side="left" if table.left[row] else "right",
            **table.labels(row),
        )
        return mirrored(sample) if sample.side == "left" else sample

    def _image(self, index: int, number: int, row: int) -> NDArray[np.uint8]:
        table = self._tables[number]
        if table.files is not None:
            return read_image(table.path.parent / str(table.files[row]))
        with self._lock:
            if self._images is None or self._images[0] != number:
                self._images = (number, _member(table.path, "image"))
            image: NDArray[np.uint8] = self._images[1][row]
        if image.max() <= DARKEST:
            raise DataError(
                f"{table.path}: row {row}: id {self._ids[index]}: expected a hand, found an "
                "all-black image"
            )
        return image

    def _numbers(self, name: str) -> Rows:
        """Join `id` or `group` of all files; where no file has them, number the samples."""
        given = [getattr(table, name) for table in self._tables]
        if any((values is None) != (given[0] is None) for values in given):
            raise DataError(f"{self.root}: expected {name!r} in every file or in none")
        if given[0] is None:
            return np.arange(int(self._ends[-1]))
        return np.concatenate(given)

    def _check_ids(self) -> None:
        unique, counts = np.unique(self._ids, return_counts=True)
        if (counts > 1).any():
            twice = unique[counts > 1]
            raise DataError(
                f"{self.root}: expected an id for each sample, found {twice[0]} "
                f"{counts[counts > 1][0]} times ({len(twice)} such ids)"
            )

    def _positions(self) -> dict[Split, Rows]:
        names = np.concatenate([table.split for table in self._tables])
        found = {split: np.flatnonzero(names == split) for split in SPLITS}
        return {split: rows for split, rows in found.items() if len(rows)}

    def _check_groups(self) -> None:
        seen: dict[int, str] = {}
        for split in ("probe", "select", "test"):
            for group in np.unique(self._groups[self.splits.get(split, [])]).tolist():
                if group in seen:
                    raise DataError(
                        f"{self.root}: expected every group in one of probe, select and test, "
                        f"found group {group} in {seen[group]} and {split}"
                    )
                seen[group] = split

    def _fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for table in self._tables:
            digest.update(f"{table.path.name} {table.digest}\n".encode())
        return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    files = [root] if root.is_file() else sorted(root.glob("*.npz"))
    if not files:
        found = sorted(path.name for path in root.iterdir())[:8] if root.is_dir() else []
        raise DataError(
            f"{root}: expected a .npz or a folder of them, found "
            f"{', '.join(found) if found else 'nothing'}"
        )
    return files


def _member(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path}: expected array {name!r}, cannot read it ({error})") from None
