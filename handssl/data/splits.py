"""Packed splits of a study: pretrain, probe, select and test."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from handssl.data.manifest import FILE, Manifest, digest, packing_call
from handssl.data.sample import SPLITS, Split
from handssl.data.store import PackedSplit, PackedStore
from handssl.errors import DataError, InputError

PRETRAIN_LINK, LABELLED_LINK = "pretrain", "labelled"


class StudyData:
    """Pretrain, probe, select and test splits of one packed store, or pretrain of another one.

    Args:
        folder: A packed store, or a folder from `combine`.

    Raises:
        DataError: The folder is neither, or a split is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labelled = PackedStore(folder if (folder / FILE).is_file() else folder / LABELLED_LINK)
        linked = folder / PRETRAIN_LINK
        self.pretrain = PackedStore(linked) if linked.is_dir() else self.labelled
        self._splits: dict[Split, PackedSplit] = {}
        missing = [name for name in SPLITS if name not in self._of(name).manifest.splits]
        if missing:
            raise DataError(
                f"{folder}: expected the splits {', '.join(SPLITS)}, missing {', '.join(missing)}"
            )

    def store(self, split: Split) -> PackedSplit:
        """Return a split, opened on first use."""
        if split not in self._splits:
            self._splits[split] = self._of(split).split(split)
        return self._splits[split]

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of all data, 32 hex characters; part of every trial's identity."""
        if self.pretrain is self.labelled:
            return self.labelled.manifest.fingerprint
        return digest((self.labelled.manifest.fingerprint, self.pretrain.manifest.fingerprint))

    def tags(self) -> dict[str, str]:
        """Return tracker tags for the data, including the number of damaged samples."""
        tags = {"data_fingerprint": self.fingerprint}
        for role, store in (("labelled", self.labelled), ("pretrain", self.pretrain)):
            manifest = store.manifest
            tags[f"data_{role}"] = f"{manifest.dataset} {manifest.fingerprint}"
            tags[f"data_{role}_damaged"] = str(manifest.damaged)
        return tags

    def _of(self, split: Split) -> PackedStore:
        return self.pretrain if split == "pretrain" else self.labelled


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
    ours, theirs = (PackedStore(path).manifest for path in (labelled, pretrain))
    if _sizes(ours, theirs) != _sizes(theirs, ours):
        raise InputError(
            f"data: expected stores of the same crops, got {_words(ours)} and {_words(theirs)}; "
            f"pack one of them again, e.g. {packing_call(theirs.dataset, ours.cropping)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in ((LABELLED_LINK, labelled), (PRETRAIN_LINK, pretrain)):
        link = folder / name
        if link.resolve() != target.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(target.resolve(), target_is_directory=True)
    return folder


def _sizes(manifest: Manifest, other: Manifest) -> tuple[object, ...]:
    """Return the size of the crops, and their rule if joints define the boxes of both stores."""
    of_joints = all(one.labelled and one.box == "labels" for one in (manifest, other))
    return (manifest.crop_px, manifest.context, manifest.rule if of_joints else None)


def _words(manifest: Manifest) -> str:
    return (
        f"{manifest.dataset} with {manifest.crop_px} px, context {manifest.context:g}, "
        f"{manifest.boxes} boxes"
    )
