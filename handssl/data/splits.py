"""Packed splits of a study: pretrain, probe, select and test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from pathlib import Path

from handssl.data.manifest import FILE, Manifest, digest, packing_call
from handssl.data.sample import SPLITS, Split
from handssl.data.store import PackedSplit, PackedStore
from handssl.data.union import UnionSplit
from handssl.errors import DataError, InputError

PRETRAIN_LINK, LABELLED_LINK, EVALUATED_LINK = "pretrain", "labelled", "evaluated"
UNION = "union.json"


class StudyData:
    """Pretrain, probe, select and test splits of one packed store, or pretrain of others.

    Args:
        folder: A packed store, or a folder from `combine`, `combine_union` or `combine_cross`.

    Attributes:
        labelled: Store with probe and select.
        evaluated: Store with test, mostly the same.
        sources: Stores with pretrain.
        shares: Share of the samples that is drawn from each of them; empty if it is no union.

    Raises:
        DataError: The folder is neither, or a split is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labelled = PackedStore(folder if (folder / FILE).is_file() else folder / LABELLED_LINK)
        across = folder / EVALUATED_LINK
        self.evaluated = PackedStore(across) if across.is_dir() else self.labelled
        self.shares, self._epoch_images = _union(folder)
        self.sources = self._sources(folder)
        self._splits: dict[Split, PackedSplit] = {}
        stores = {name: self._stores(name) for name in SPLITS}
        missing = [
            name
            for name, found in stores.items()
            if any(name not in one.manifest.splits for one in found)
        ]
        if missing:
            raise DataError(
                f"{folder}: expected the splits {', '.join(SPLITS)}, missing {', '.join(missing)}"
            )

    def store(self, split: Split) -> PackedSplit:
        """Return a split, opened on first use."""
        if split not in self._splits:
            found = [store.split(split) for store in self._stores(split)]
            is_union = split == "pretrain" and self.shares
            self._splits[split] = UnionSplit(found, self.shares) if is_union else found[0]
        return self._splits[split]

    @property
    def epoch_images(self) -> int:
        """Number of samples of an epoch: all of pretrain, unless it is a union."""
        return self._epoch_images or len(self.store("pretrain"))

    @property
    def is_cross(self) -> bool:
        """Whether probes are fitted on one dataset and evaluated on another."""
        return self.evaluated is not self.labelled

    def with_split(self, split: PackedSplit) -> StudyData:
        """Return the same data with one split replaced, e.g. by a part of it."""
        found = copy(self)
        found._splits = {**self._splits, split.name: split}
        return found

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of all data, 32 hex characters; part of every trial's identity."""
        own = self.labelled.manifest.fingerprint
        if self.shares:
            others = (one.manifest.fingerprint for one in self.sources)
            return union_fingerprint(
                own, *others, shares=self.shares, epoch_images=self.epoch_images
            )
        if self.is_cross:
            return digest((own, "evaluated", self.evaluated.manifest.fingerprint))
        if self.sources[0] is self.labelled:
            return own
        return digest((own, self.sources[0].manifest.fingerprint))

    def tags(self) -> dict[str, str]:
        """Return tracker tags for the data, including the number of damaged samples."""
        tags = {"data_fingerprint": self.fingerprint} | _tags("labelled", self.labelled)
        tags |= _tags("evaluated", self.evaluated) if self.is_cross else {}
        if not self.shares:
            return tags | _tags("pretrain", self.sources[0])
        for number, store in enumerate(self.sources):
            tags |= _tags(f"pretrain_{number}", store)
        return tags | {"data_shares": json.dumps(self.shares)}

    def _sources(self, folder: Path) -> tuple[PackedStore, ...]:
        if self.shares:
            return tuple(
                PackedStore(folder / f"{PRETRAIN_LINK}-{n}") for n in range(len(self.shares))
            )
        linked = folder / PRETRAIN_LINK
        return (PackedStore(linked) if linked.is_dir() else self.labelled,)

    def _stores(self, split: Split) -> tuple[PackedStore, ...]:
        if split == "pretrain":
            return self.sources
        return (self.evaluated if split == "test" else self.labelled,)


def union_fingerprint(
    labelled: str, *pretrain: str, shares: Sequence[float], epoch_images: int
) -> str:
    """Return the fingerprint of a union, from those of its stores.

    Args:
        labelled: Fingerprint of the store with probe, select and test.
        pretrain: Fingerprints of the stores with pretrain.
        shares: Share of the samples that is drawn from each of these.
        epoch_images: Number of samples of an epoch.
    """
    return digest((labelled, *zip(pretrain, shares, strict=True), epoch_images))


def _tags(role: str, store: PackedStore) -> dict[str, str]:
    manifest = store.manifest
    return {
        f"data_{role}": f"{manifest.dataset} {manifest.fingerprint}",
        f"data_{role}_damaged": str(manifest.damaged),
    }


def _union(folder: Path) -> tuple[tuple[float, ...], int | None]:
    """Return shares and samples of an epoch; nothing if the folder is no union."""
    path = folder / UNION
    if not path.is_file():
        return (), None
    found = json.loads(path.read_text("utf-8"))
    return tuple(found["shares"]), int(found["epoch_images"])


def combine(folder: Path, *, labelled: Path, pretrain: Path) -> Path:
    """Create a folder that combines pretraining images of one store with labels of another.

    Args:
        folder: Folder that receives two links.
        labelled: Store with probe, select and test.
        pretrain: Store with pretrain; its crops must have the same side and context and, if both
            are boxes around labelled joints, the same rule.

    Returns:
        The folder.

    Raises:
        InputError: The crops of the two stores differ in side, context or rule.
    """
    _require_same_crops(labelled, pretrain)
    return _linked(folder, {LABELLED_LINK: labelled, PRETRAIN_LINK: pretrain})


def combine_union(
    folder: Path,
    *,
    labelled: Path,
    pretrain: Sequence[Path],
    shares: Sequence[float],
    epoch_images: int,
) -> Path:
    """Create a folder that combines pretraining images of several stores with labels of one.

    Args:
        folder: Folder that receives the links.
        labelled: Store with probe, select and test.
        pretrain: Stores with pretrain; their crops must be like those of `labelled`.
        shares: Share of the samples that is drawn from each, which sum to 1.
        epoch_images: Number of samples of an epoch, see `pretraining_images`.

    Returns:
        The folder.

    Raises:
        InputError: The crops of two stores differ in side, context or rule.
    """
    for one in pretrain:
        _require_same_crops(labelled, one)
    members = {f"{PRETRAIN_LINK}-{number}": one for number, one in enumerate(pretrain)}
    _linked(folder, {LABELLED_LINK: labelled, **members})
    partial = folder / f"{UNION}.partial"
    content = {"shares": list(shares), "epoch_images": epoch_images}
    partial.write_text(json.dumps(content), "utf-8")
    partial.replace(folder / UNION)
    return folder


def combine_cross(folder: Path, *, labelled: Path, evaluated: Path) -> Path:
    """Create a folder that combines probe and select of one store with test of another.

    Args:
        folder: Folder that receives the links.
        labelled: Store with probe and select.
        evaluated: Store with test; its crops must be like those of `labelled`.

    Returns:
        The folder.

    Raises:
        InputError: The crops of the two stores differ in side, context or rule.
    """
    _require_same_crops(labelled, evaluated)
    return _linked(folder, {LABELLED_LINK: labelled, EVALUATED_LINK: evaluated})


def pretraining_images(folder: Path) -> int:
    """Return the number of images for pretraining of a store; without any those of probe."""
    splits = PackedStore(folder).manifest.splits
    return splits.get("pretrain") or splits.get("probe", 0)


def _linked(folder: Path, links: dict[str, Path]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        link = folder / name
        if link.resolve() != target.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(target.resolve(), target_is_directory=True)
    return folder


def _require_same_crops(labelled: Path, pretrain: Path) -> None:
    ours, theirs = (PackedStore(path).manifest for path in (labelled, pretrain))
    if _sizes(ours, theirs) != _sizes(theirs, ours):
        raise InputError(
            f"data: expected stores of the same crops, got {_words(ours)} and {_words(theirs)}; "
            f"pack one of them again, e.g. {packing_call(theirs.dataset, ours.cropping)}"
        )


def _sizes(manifest: Manifest, other: Manifest) -> tuple[object, ...]:
    """Return the size of the crops, and their rule if joints define the boxes of both stores."""
    of_joints = all(one.labelled and one.box == "labels" for one in (manifest, other))
    return (manifest.crop_px, manifest.context, manifest.rule if of_joints else None)


def _words(manifest: Manifest) -> str:
    return (
        f"{manifest.dataset} with {manifest.crop_px} px, context {manifest.context:g}, "
        f"{manifest.boxes} boxes"
    )
