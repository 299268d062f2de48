"""Reader of InterHand2.6M that maps the released splits to ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from handssl.data.readers.interhand.index import open_index
from handssl.data.readers.interhand.layout import Released, SplitFiles, find_splits
from handssl.data.readers.interhand.options import Cameras, InterhandOptions, select_rows
from handssl.data.readers.interhand.samples import Part, file_of_row, make_sample
from handssl.data.sample import Rows, Sample, Split
from handssl.errors import InputError

_SHOWN_AS: dict[Released, tuple[Split, ...]] = {
    "train": ("pretrain", "probe"),
    "val": ("select",),
    "test": ("test",),
}


class InterhandReader:
    """The single hands of an InterHand2.6M tree, v1.0 or older.

    Released train is `pretrain` and, where all 21 joints are valid, `probe`; val is `select`; test
    is `test`. Splits that are not on disk are left out. The official single-hand counts at 5 fps
    are train 687,548, val 234,183, test 33,665; `released` contains the same counts. A sample also
    needs a valid wrist and middle MCP, which define root and scale: that removes a few.

    `id` = official image id + 10^10 x s and `group` = capture + 1000 x s with s = 0 for train, 1
    for val, 2 for test. Left hands are mirrored: u' = W - 1 - u, X' = -X, cx' = W - 1 - cx. The
    JSON is parsed on first use (minutes for train) and mapped from a cache later.

    Args:
        root: Folder that contains `annotations/` and `images/`.
        hands: See `InterhandOptions`.
        complete: Whether to use only hands with all 21 joints valid.
        cameras: `all`, `colour` or `grey`.
        frames_every: Keep every n-th frame.
        cameras_every: Keep every n-th camera.

    Raises:
        DataError: The tree or its annotations differ from the expected layout.
        InputError: An option is invalid, or the options select no image of a split.
    """

    name = "interhand"
    split_rule = (
        "InterHand2.6M as released, by capture: train is pretrain and probe, val is select, "
        "test is test; captures are numbered anew in each"
    )

    def __init__(
        self,
        root: Path,
        *,
        hands: Literal["single"] = "single",
        complete: bool = False,
        cameras: Cameras = "all",
        frames_every: int = 1,
        cameras_every: int = 1,
    ) -> None:
        self.root = root
        self.options = InterhandOptions.parse(
            {
                "hands": hands,
                "complete": complete,
                "cameras": cameras,
                "frames_every": frames_every,
                "cameras_every": cameras_every,
            }
        )
        self._parts = [_open(files, self.options) for files in find_splits(root)]
        self._ends = np.cumsum([len(part.rows) for part in self._parts])
        self.released = {p.files.released: len(p.index["id"]) for p in self._parts}
        self.splits: Mapping[Split, Rows] = self._positions()
        self.fingerprint = self._fingerprint()

    def __reduce__(self) -> tuple[Callable[..., InterhandReader], tuple[Path]]:
        # Other processes open the cache themselves: a pickle would copy the mapped arrays.
        return partial(InterhandReader, **self.options.model_dump()), (self.root,)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def file_of(self, index: int) -> Path:
        """Return the file that a sample's image is read from."""
        return file_of_row(*self._place(index))

    def __getitem__(self, index: int) -> Sample:
        return make_sample(*self._place(index))

    def _place(self, index: int) -> tuple[Part, int]:
        """Return the released split of a sample, and its row in the index."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        part = self._parts[number]
        return part, int(part.rows[index - self._ends[number]])

    def _positions(self) -> dict[Split, Rows]:
        splits: dict[Split, Rows] = {}
        for part, end in zip(self._parts, self._ends.tolist(), strict=True):
            rows: Rows = np.arange(end - len(part.rows), end)
            complete = part.index["valid"][part.rows].all(axis=1)
            for split in _SHOWN_AS[part.files.released]:
                splits[split] = rows[complete] if split == "probe" else rows
        for split, rows in splits.items():
            if not len(rows):
                raise InputError(
                    f"{self.root}: expected images for {split!r}, found none that "
                    f"{self.options!r} leaves; relax the options"
                )
        return splits

    def _fingerprint(self) -> str:
        digest = hashlib.blake2b(self.options.model_dump_json().encode(), digest_size=16)
        for part in self._parts:
            digest.update(part.files.released.encode() + bytes(part.index["digest"][0]))
        return digest.hexdigest()


def _open(files: SplitFiles, options: InterhandOptions) -> Part:
    index = open_index(files)
    return Part(files, index, select_rows(index, options))
