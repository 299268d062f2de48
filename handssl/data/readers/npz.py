"""Reader of converted datasets: one .npz file or a folder of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handssl.data.image_files import DARKEST, read_image
from handssl.data.mirroring import mirrored
from handssl.data.readers.npz_file import Images
from handssl.data.readers.npz_table import Table, read_table
from handssl.data.sample import SPLITS, Rows, Sample, Split
from handssl.errors import DataError

_APART: tuple[tuple[Split, Split], ...] = (
    *(("pretrain", "select"), ("pretrain", "test"), ("probe", "select")),
    *(("probe", "test"), ("select", "test")),
)


class NpzReader:
    """The samples of one .npz file, or of all files in a folder, ordered by file name.

    The arrays are those of `handssl.data.readers.npz_file.FIELDS`. Images named by `image_file` are
    read one by one, which works for any size. Images inside a file are mapped if it was saved with
    `np.savez`; a compressed file is loaded into memory as a whole. Left hands are mirrored.

    Groups of select and of test are in no other split; pretrain and probe may share groups. If no
    row is pretrain, pretrain lists the images of probe. Rows of the other splits need a valid wrist
    and middle MCP.

    Args:
        root: The file or the folder.

    Raises:
        DataError: An array is missing or violates the schema, or splits share a group.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "hands.npz"
        >>> np.savez(path, image=np.full((2, 8, 9, 3), 200, np.uint8), id=[7, 4])
        >>> NpzReader(path)[1].id
        4
    """

    name = "npz"
    split_rule = (
        "as the files say, by group: those of select and of test are in no other split; where no "
        "row is pretrain, pretrain lists the images of probe"
    )

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._tables = [read_table(path) for path in _files(self.root)]
        self._ends = np.cumsum([len(table) for table in self._tables])
        if not len(self):
            raise DataError(f"{self.root}: expected samples, found arrays without rows")
        self._ids, self._groups = (self._numbers(name) for name in ("id", "group"))
        self._check_ids()
        self.splits: Mapping[Split, Rows] = self._positions()
        self._check_groups()
        self.fingerprint = self._fingerprint()
        self._images = Images([table.inside for table in self._tables])

    def __reduce__(self) -> tuple[type[NpzReader], tuple[Path]]:
        return NpzReader, (self.root,)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def file_of(self, index: int) -> Path:
        """Return the image file of a sample, or the .npz that contains its image."""
        _, table, row = self._place(index)
        return table.path if table.files is None else table.path.parent / str(table.files[row])

    def __getitem__(self, index: int) -> Sample:
        number, table, row = self._place(index)
        sample = Sample(
            image=self._image(number, row, int(self._ids[index])),
            id=int(self._ids[index]),
            group=int(self._groups[index]),
            source=f"{table.path}: row {row}",
            side="left" if table.left[row] else "right",
            **table.labels(row),
        )
        return mirrored(sample) if sample.side == "left" else sample

    def _place(self, index: int) -> tuple[int, Table, int]:
        """Return number and table of a sample's file, and its row there."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        table = self._tables[number]
        return number, table, index - int(self._ends[number]) + len(table)

    def _image(self, number: int, row: int, sample_id: int) -> NDArray[np.uint8]:
        table = self._tables[number]
        if table.files is not None:
            return read_image(table.path.parent / str(table.files[row]))  # as `file_of` has it
        image = self._images.read(number, row)
        if image.max(initial=0) <= DARKEST:
            raise DataError(
                f"{table.path}: row {row}: id {sample_id}: expected a hand, found an all-black "
                "image"
            )
        return image

    def _numbers(self, name: str) -> Rows:
        """Join `id` or `group` of all files; if no file has them, number the samples."""
        given = [getattr(table, name) for table in self._tables]
        if any((values is None) != (given[0] is None) for values in given):
            raise DataError(f"{self.root}: expected {name!r} in every file or in none, found some")
        if given[0] is None:
            return np.arange(int(self._ends[-1]))
        return np.concatenate(given)

    def _check_ids(self) -> None:
        unique, counts = np.unique(self._ids, return_counts=True)
        if (counts > 1).any():
            twice = unique[counts > 1]
            rows = np.flatnonzero(self._ids == twice[0])
            raise DataError(
                f"{self.root}: expected an id for each sample, found {twice[0]} {len(rows)} times: "
                f"{self._where(rows)} and {self._where(rows[1:])} ({len(twice):,} such ids)"
            )

    def _positions(self) -> dict[Split, Rows]:
        names = np.concatenate([table.split for table in self._tables])
        found = {split: np.flatnonzero(names == split) for split in SPLITS}
        if not len(found["pretrain"]):
            found["pretrain"] = found["probe"]
        return {split: rows for split, rows in found.items() if len(rows)}

    def _check_groups(self) -> None:
        for one, other in _APART:
            ours, theirs = (self.splits.get(split, np.arange(0)) for split in (one, other))
            shared = np.intersect1d(self._groups[ours], self._groups[theirs])
            if len(shared):
                members = (rows[self._groups[rows] == shared[0]] for rows in (ours, theirs))
                raise DataError(
                    f"{self.root}: expected no group both in {one} and in {other}, found group "
                    f"{shared[0]} in {one} and {other}: "
                    f"{' and '.join(map(self._where, members))} ({len(shared):,} such groups)"
                )

    def _where(self, rows: Rows) -> str:
        """Return file and row of the first of some samples."""
        _, table, row = self._place(int(rows[0]))
        return f"{table.path.name}, row {row}"

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
