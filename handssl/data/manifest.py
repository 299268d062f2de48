"""What a packed store says about itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from handssl.config import Config
from handssl.data.sample import Reader, Split
from handssl.errors import DataError, InputError

FORMAT_VERSION = 2
FILE = "manifest.json"
PARTIAL, REPLACED = ".partial", ".replaced"
"""Endings of folders that are no stores yet, or no longer."""


class Manifest(Config):
    """What a store holds and where it came from.

    Attributes:
        format_version: Of the files beside it; another one is refused.
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
        digest: Of all the other fields, see `sealed`; empty in stores of earlier versions.
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
    digest: str = ""

    @property
    def own_digest(self) -> str:
        """What `digest` has to be."""
        return digest([self.model_dump_json(exclude={"digest"})])

    def sealed(self) -> Manifest:
        """Return it with its digest, by which `verify` notices a change of any field."""
        return self.model_copy(update={"digest": self.own_digest})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Return the manifest of a store.

        Raises:
            DataError: The folder is no store of this format.
        """
        path = folder / FILE
        if not path.is_file():
            raise DataError(f"{folder}: expected a packed store with {FILE}, found none")
        _require_version(path)
        try:
            return cls.load(path)
        except InputError as error:
            raise DataError(
                f"{error}\nThe store is damaged or of another version: pack it again."
            ) from None


def _require_version(path: Path) -> None:
    """Refuse a format that this version does not read; what is no JSON is told of by others."""
    try:
        values = json.loads(path.read_bytes())
        found = values.get("format_version", FORMAT_VERSION)
    except (OSError, ValueError, AttributeError):
        return
    if found != FORMAT_VERSION:
        made = values.get("made_with") or {}
        raise DataError(
            f"{path}: expected a store of format_version {FORMAT_VERSION}, found {found!r}, packed "
            f"by handssl {made.get('handssl', 'of an unknown version')}; read it with that "
            "version, or pack the dataset again into another folder with `handssl data pack`"
        )


def recipe_of(reader: Reader, *, crop_px: int, context: float) -> str:
    """Return the fingerprint of what is asked for, 32 hex characters.

    It does not hold what changes when a file is repaired or replaced: that is found by `Sources`.
    """
    asked = getattr(reader, "recipe_fingerprint", reader.fingerprint)
    return _recipe(reader, asked, crop_px, context)


def recipes_of(reader: Reader, *, crop_px: int, context: float) -> tuple[str, str]:
    """Return the recipe, and the one that earlier versions wrote for the same."""
    now = recipe_of(reader, crop_px=crop_px, context=context)
    return now, _recipe(reader, reader.fingerprint, crop_px, context)


def _recipe(reader: Reader, fingerprint: str, crop_px: int, context: float) -> str:
    return digest((FORMAT_VERSION, reader.name, fingerprint, crop_px, float(context)))


def digest(parts: Iterable[object]) -> str:
    """Return 32 hex characters that stand for some values.

    Example:
        >>> len(digest(["a", 1])), digest(["a", 1]) == digest(["a", 2])
        (32, False)
    """
    text = "\n".join(map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
