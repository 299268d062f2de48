"""Reader of a folder of unlabelled images, with or without a detector's boxes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from handssl.data.image_files import read_image
from handssl.data.mirroring import mirrored
from handssl.data.readers.boxes import Box, read_boxes
from handssl.data.readers.find_images import ALL, SUFFIXES, images_below
from handssl.data.sample import Rows, Sample, Split
from handssl.errors import DataError


class FolderReader:
    """Every image below a folder, in the order of their relative names; one split, `pretrain`.

    `id` is a hash of the relative name, so added images do not change existing ids; `group` is a
    hash of the image's folder. With boxes there is one sample per box and images without a box are
    left out; a left hand is mirrored. Hidden files and folders are ignored.

    Args:
        root: The folder.
        boxes: CSV, see `read_boxes`.
        pattern: Glob that relative names must match: `*` matches within a name, `**` any number of
            folders, e.g. `session1/**/*.png`.

    Attributes:
        notes: Remarks for the user.
        recipe_fingerprint: Fingerprint of names and boxes only, without the sizes of the files.

    Raises:
        DataError: There is no image, the boxes have mistakes, or two names have the same hash.

    Example:
        >>> import cv2, tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> cv2.imwrite(str(root / "hand.png"), np.full((8, 9, 3), 200, np.uint8))
        True
        >>> FolderReader(root)[0].image.shape
        (8, 9, 3)
    """

    name = "folder"
    split_rule = "no labels, so all images are pretrain"

    def __init__(self, root: Path, *, boxes: Path | None = None, pattern: str = ALL) -> None:
        self.root = Path(root)
        sizes = dict(images_below(self.root, pattern)) if self.root.is_dir() else {}
        if not sizes:
            raise DataError(_nothing(self.root, pattern))
        given = None if boxes is None else read_boxes(Path(boxes), sizes)
        self._entries = _entries(sorted(sizes), given)
        self._ids = [
            _hash(f"{name}#{number}" if number else name) for name, number, _ in self._entries
        ]
        _check_ids(self._ids, self._entries)
        self.splits: Mapping[Split, Rows] = {"pretrain": np.arange(len(self._entries))}
        self.notes = _notes(sizes, given)
        self.fingerprint = _fingerprint(self._entries, sizes)
        self.recipe_fingerprint = _fingerprint(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def file_of(self, index: int) -> Path:
        """Return the file that a sample's image is read from."""
        return self.root / self._entries[index][0]

    def __getitem__(self, index: int) -> Sample:
        name, _, box = self._entries[index]
        image = read_image(self.root / name)
        where = f"{self.root / name}: id {self._ids[index]}"
        sample = Sample(
            image=image,
            id=self._ids[index],
            group=_hash(str(Path(name).parent)),
            source=str(self.root / name),
            side="right" if box is None else box.side,
            box=None if box is None else box.square_in(image.shape[1], image.shape[0], where),
        )
        return mirrored(sample) if sample.side == "left" else sample


_Entry = tuple[str, int, Box | None]


def _entries(names: list[str], boxes: dict[str, list[Box]] | None) -> list[_Entry]:
    if boxes is None:
        return [(name, 0, None) for name in names]
    return [(name, k, box) for name in names for k, box in enumerate(boxes.get(name, ()))]


def _hash(text: str) -> int:
    """Return a 62-bit hash of a name."""
    digest = hashlib.blake2b(os.fsencode(text), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


def _check_ids(ids: list[int], entries: list[_Entry]) -> None:
    if len(set(ids)) == len(ids):
        return
    seen: dict[int, str] = {}
    for number, (name, _, _) in zip(ids, entries, strict=True):
        if number in seen:
            raise DataError(
                f"{name}: expected a unique id, found the same as {seen[number]}; rename it"
            )
        seen[number] = name


def _nothing(root: Path, pattern: str) -> str:
    if not root.is_dir():
        return f"{root}: expected a folder with images, found none"
    found = sorted(path.name for path in root.iterdir())[:8]
    fitting = "" if pattern == ALL else f" that fit {pattern!r}"
    return (
        f"{root}: expected images ({', '.join(SUFFIXES)}){fitting}, found "
        f"{', '.join(found) if found else 'nothing'}"
    )


def _notes(sizes: dict[str, int], boxes: dict[str, list[Box]] | None) -> tuple[str, ...]:
    without = 0 if boxes is None else sum(name not in boxes for name in sizes)
    return (f"{without:,} images without a box, left out",) if without else ()


def _fingerprint(entries: list[_Entry], sizes: Mapping[str, int] | None = None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, number, box in entries:
        size = sizes[name] if sizes else ""
        digest.update(os.fsencode(f"{name}\0{number}\0{size}\0{box}\n"))
    return digest.hexdigest()
