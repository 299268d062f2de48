"""Manifest of a packed store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from handssl.config import Config
from handssl.data.sample import Reader, Split
from handssl.errors import DataError, InputError
from handssl.pose.crop_rules import BoxSource, CropRule

FORMAT_VERSION = 2
RESAMPLING_VERSION = 2
"""Increment it when the same image and box start to give other pixels."""
FILE = "manifest.json"
READERS = ("freihand", "interhand", "npz", "folder")
"""Datasets on disk that handssl reads itself."""
PARTIAL, REPLACED = ".partial", ".replaced"
"""Suffixes of folders that are not stores yet, or no longer."""


class Cropping(NamedTuple):
    """Settings of the crops of a store.

    Attributes:
        crop_px: Side S of the stored crops in pixels.
        context: Side of a crop in box sides.
        rule: Box around labelled joints, `published` or `extent`.
    """

    crop_px: int
    context: float
    rule: CropRule


def packing_call(dataset: str, cropping: Cropping) -> str:
    """Return how a dataset is packed with some crops: a command, or a call for custom ones.

    Example:
        >>> packing_call("freihand", Cropping(224, 1.75, "published"))
        '`handssl data pack freihand --root ROOT --crop-px 224 --context 1.75 --crop published`'
        >>> packing_call("mine", Cropping(224, 1.75, "extent"))
        "`handssl.add_dataset(reader, crop_px=224, context=1.75, crop='extent')`"
    """
    crop_px, context, rule = cropping
    if dataset in READERS:
        size = f"--crop-px {crop_px} --context {context:g} --crop {rule}"
        return f"`handssl data pack {dataset} --root ROOT {size}`"
    return f"`handssl.add_dataset(reader, {crop_px=}, context={context:g}, crop={rule!r})`"


class Manifest(Config):
    """Content and origin of a store.

    Attributes:
        format_version: Format version of the store's files; others are rejected.
        dataset: Name of the reader.
        recipe: Fingerprint of the source's annotations and the packing's settings; known before
            any image is read.
        fingerprint: Fingerprint of the content: every pixel, label and split; part of every
            trial's identity.
        images: Number of samples in the store.
        rows: Rows of `images.npy`; more than `images` if damaged samples were skipped.
        crop_px: Side S of the stored crops in pixels.
        context: Side of a crop in box sides.
        crop: Box around labelled joints, `published` or `extent`; stores packed before there was a
            choice have None and `extent` boxes, see `rule`.
        splits: Number of samples of each split.
        split_rule: Description of how the splits are divided.
        labelled: Whether any sample has labels.
        box: Source of the crop boxes of labelled images: `labels` or `detector`.
        mirrored: Number of left hands mirrored to right ones.
        damaged: Number of skipped samples; `damaged.txt` lists them with the reason.
        outside_share: Share of stored pixels outside their source images, 0 to 1.
        notes: Remarks of the reader.
        made_with: Versions of handssl and OpenCV; other versions may round pixels differently.
        shards: Digest of each range of rows.
        digest: Digest of all other fields, see `sealed`; empty in stores of earlier versions.
    """

    format_version: int = FORMAT_VERSION
    dataset: str
    recipe: str
    fingerprint: str
    images: int
    rows: int
    crop_px: int
    context: float
    crop: CropRule | None = None
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
        """The expected value of `digest`."""
        # Without None: manifests of earlier versions were sealed before `crop` existed.
        return digest([self.model_dump_json(exclude={"digest"}, exclude_none=True)])

    @property
    def rule(self) -> CropRule:
        """Rule of the boxes around labelled joints."""
        return self.crop or "extent"

    @property
    def boxes(self) -> BoxSource:
        """What the boxes of labelled images come from: `published`, `extent` or `detector`."""
        return "detector" if self.box == "detector" else self.rule

    @property
    def cropping(self) -> Cropping:
        """The settings that the crops were cut with."""
        return Cropping(self.crop_px, self.context, self.rule)

    def sealed(self) -> Manifest:
        """Return a copy with its digest, so that `verify` detects a change of any field."""
        return self.model_copy(update={"digest": self.own_digest})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Return the manifest of a store.

        Raises:
            DataError: The folder is not a store of this format.
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
    """Reject a format that this version does not read; invalid JSON is reported elsewhere."""
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


def recipe_of(reader: Reader, cropping: Cropping) -> str:
    """Return the fingerprint of a packing's input and settings, 32 hex characters.

    It does not depend on file contents: repaired or replaced files are detected by `Sources`.
    """
    asked = getattr(reader, "recipe_fingerprint", reader.fingerprint)
    return _recipe(reader, asked, cropping)


def recipes_of(reader: Reader, cropping: Cropping) -> tuple[str, str]:
    """Return the recipe, and the one of the reader's whole fingerprint for the same packing."""
    return recipe_of(reader, cropping), _recipe(reader, reader.fingerprint, cropping)


def _recipe(reader: Reader, fingerprint: str, cropping: Cropping) -> str:
    size = (cropping.crop_px, float(cropping.context))
    made = (FORMAT_VERSION, reader.name, fingerprint, *size, cropping.rule, RESAMPLING_VERSION)
    return digest(made)


def digest(parts: Iterable[object]) -> str:
    """Return a digest of some values, 32 hex characters.

    Example:
        >>> len(digest(["a", 1])), digest(["a", 1]) == digest(["a", 2])
        (32, False)
    """
    text = "\n".join(map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
