"""Packed store: memory-mapped uint8 crops, labels and a manifest.

<store>/images.npy        uint8 (rows, S, S, 3), RGB; every crop shows `context` box sides
<store>/labels/*.npy      one entry per sample: slots (row of its crop), ids, groups, valid,
                          mirrored, outside, and if labelled uv (crop px), xyz (m), camera
<store>/splits/*.npy      the samples of each split
<store>/manifest.json     written last; a folder without it is not a store
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.config import nearest
from handssl.data.arrays import Arrays, open_arrays
from handssl.data.crop_images import Images, MappedImages, ResidentImages
from handssl.data.manifest import Manifest
from handssl.data.sample import Rows, Split
from handssl.data.shards import LABELS, POSES
from handssl.errors import DataError

_COPIED_ROWS = 1024


class PackedStore:
    """A packed dataset on disk, mapped into memory and shared by all processes that open it.

    Args:
        folder: Folder written by `pack`.

    Raises:
        DataError: The folder is not a complete store, or a file contradicts the manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest.read(folder)
        side = self.manifest.crop_px
        self.images = MappedImages(folder / "images.npy", (self.manifest.rows, side, side, 3))
        names = [name for name in LABELS if self.manifest.labelled or name not in POSES]
        self.labels = _open(folder / "labels", dict.fromkeys(names, self.manifest.images))
        self.splits = _open(folder / "splits", self.manifest.splits)

    def __len__(self) -> int:
        return self.manifest.images

    def split(self, name: Split) -> PackedSplit:
        """Return one split.

        Raises:
            DataError: The store does not have that split.
        """
        if name not in self.splits:
            raise DataError(f"{self.folder}: no split {name!r}{nearest(name, self.splits)}")
        return PackedSplit(self, name, np.asarray(self.splits[name]))


class PackedSplit:
    """One split of a packed store: crops by index, and labels.

    Args:
        store: Store of the split.
        name: Name of the split.
        samples: Positions of its samples in the store, int64 (N,).
    """

    def __init__(self, store: PackedStore, name: Split, samples: Rows) -> None:
        self.store, self.name, self._samples = store, name, samples
        self.manifest = store.manifest
        self._images: Images = store.images
        self._labels: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def box_px(self) -> float:
        """Side of the crop box in pixels of the stored crop."""
        return self.manifest.crop_px / self.manifest.context

    @property
    def bytes(self) -> int:
        """Size of the split's crops in bytes."""
        return len(self) * 3 * self.manifest.crop_px**2

    @cached_property
    def slots(self) -> Rows:
        """Row of each crop in the store's images, int64 (N,)."""
        return self.label("slots")

    @cached_property
    def ids(self) -> torch.Tensor:
        """Sample ids, int64 (N,)."""
        return torch.from_numpy(self.label("ids"))

    def buffer(self, count: int) -> torch.Tensor:
        """Return an output buffer, uint8 (count, S, S, 3), on the device of the crops."""
        side = self.manifest.crop_px
        return torch.empty((count, side, side, 3), dtype=torch.uint8, device=self._images.device)

    def crops(self, indices: NDArray[np.int64], out: torch.Tensor | None = None) -> torch.Tensor:
        """Return crops on the device where they are stored.

        Args:
            indices: Positions in the split, (B,).
            out: Buffer from `buffer` of B crops or more, to be overwritten: allocating new memory
                costs several times as much as the copy.

        Returns:
            uint8 (B, 3, S, S) in channels-last memory order.
        """
        room = None if out is None else out[: len(indices)]
        return self._images.take(self.slots[indices], room).permute(0, 3, 1, 2)

    def part(self, rows: NDArray[np.int64]) -> PackedSplit:
        """Return the split with some of its samples alone.

        Args:
            rows: Positions in the split, in the order of the part.
        """
        return PackedSplit(self.store, self.name, self._samples[rows])

    @cached_property
    def digest(self) -> str:
        """Hash of its samples, which tells parts of a split from each other."""
        return hashlib.blake2b(self._samples.tobytes(), digest_size=8).hexdigest()

    def on(self, device: torch.device | str, *, beside: Container[str] = ()) -> PackedSplit:
        """Return the same split with its crops on a device, copied once per process.

        Args:
            device: Target device; a process keeps the crops of one dataset there for all callers.
            beside: Fingerprints of other stores whose crops are kept there too.
        """
        resident = copy(self)
        resident._images = _resident(self, torch.device(device), beside)
        resident.slots = np.arange(len(self))
        return resident

    def label(self, name: str) -> NDArray[Any]:
        """Return one label array of the split: uv, xyz, camera, valid, ids, groups, mirrored.

        Raises:
            DataError: The dataset does not have that label.
        """
        if name not in self.store.labels:
            raise DataError(
                f"{self.store.folder}: expected label {name!r}, the dataset is unlabelled"
            )
        if name not in self._labels:
            self._labels[name] = np.asarray(self.store.labels[name][self._samples])
        return self._labels[name]


def _open(folder: Path, lengths: Mapping[Any, int]) -> Arrays:
    """Map the required arrays and check their lengths."""
    arrays = open_arrays(folder)
    for name, length in lengths.items():
        found = len(arrays[name]) if name in arrays else "none"
        if found != length:
            raise DataError(
                f"{folder / name}.npy: expected {length} entries as in the manifest, found {found};"
                " the store was changed after packing: pack it again"
            )
    return arrays


_RESIDENT: dict[tuple[str, str, str, torch.device], ResidentImages] = {}


def _resident(split: PackedSplit, device: torch.device, beside: Container[str]) -> ResidentImages:
    fingerprint = split.manifest.fingerprint
    for key in [key for key in _RESIDENT if key[0] != fingerprint and key[0] not in beside]:
        del _RESIDENT[key]
    key = (fingerprint, split.name, split.digest, device)
    if key not in _RESIDENT:
        side = split.manifest.crop_px
        images = torch.empty((len(split), side, side, 3), dtype=torch.uint8, device=device)
        for rows in np.array_split(np.arange(len(split)), max(1, len(split) // _COPIED_ROWS)):
            images[rows[0] : rows[-1] + 1] = split.store.images.take(split.slots[rows]).to(device)
        _RESIDENT[key] = ResidentImages(images)
    return _RESIDENT[key]
