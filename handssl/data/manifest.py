"""What a packed store says about itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from handssl.config import Config
from handssl.data.sample import Reader, Split
from handssl.errors import DataError, InputError

FORMAT_VERSION = 2
FILE = "manifest.json"


class Manifest(Config):
    """What a store holds and where it came from.

    Attributes:
        format_version: Of the files beside it.
        dataset: Name of the reader.
        recipe: Of the source's annotations and the packing's settings; known before an image is
            read.
        fingerprint: Of the content: every pixel, label and split; part of every trial's identity.
        images: Samples in the store.
        rows: Places in `images.npy`; more than `images` where damaged samples were skipped.
        crop_px: Side S of the stored crops.
        context: Side of a crop in box sides.
        splits: Samples of each split.
        split_rule: By which unit the splits are divided.
        labelled: Whether any sample has labels.
        box: Where crop boxes of labelled images come from: `labels`, or a `detector`.
        mirrored: Left hands that were made right ones.
        damaged: Samples that were skipped; `damaged.txt` says which and why.
        outside_share: Share of stored pixels that lay outside their source images.
        notes: Remarks of the reader.
        made_with: Versions of handssl and OpenCV; other ones may round pixels differently.
        shards: Digest of each run of rows.
    """

    format_version: int = FORMAT_VERSION
    dataset: str
    recipe: str
    fingerprint: str
    images: int
    rows: int
    crop_px: int
    context: float
    splits: dict[Split, int]
    split_rule: str
    labelled: bool
    box: Literal["labels", "detector"] = "labels"
    mirrored: int
    damaged: int
    outside_share: float
    notes: tuple[str, ...] = ()
    made_with: dict[str, str]
    shards: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Return the manifest of a store.

        Raises:
            DataError: The folder is no store of this format.
        """
        path = folder / FILE
        if not path.is_file():
            raise DataError(f"{folder}: expected a packed store with {FILE}, found none")
        try:
            return cls.load(path)
        except InputError as error:
            raise DataError(
                f"{error}\nThe store is damaged or of another version: pack it again."
            ) from None


def recipe_of(reader: Reader, *, crop_px: int, context: float) -> str:
    """Return the fingerprint of what is asked for, 32 hex characters."""
    return digest((FORMAT_VERSION, reader.name, reader.fingerprint, crop_px, float(context)))


def digest(parts: Iterable[object]) -> str:
    """Return 32 hex characters that stand for some values.

    Example:
        >>> len(digest(["a", 1])), digest(["a", 1]) == digest(["a", 2])
        (32, False)
    """
    text = "\n".join(map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
