"""The packed store: uint8 crops, labels and a manifest, converted once, memory-mapped ever after.

    <store>/images.npy       uint8 (N, S, S, 3), RGB; every crop shows `context` box sides
    <store>/labels.npz       ids, groups, valid, and where labelled uv (crop px), xyz (m), camera
    <store>/manifest.json    written last; a folder without it is no store

A crop is centred on the box around the labelled joints (margin 1.25); an unlabelled image is its
own box. Pixel coordinates count from the centre of the first pixel, as the datasets do.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from handssl.config import Config
from handssl.data.sample import Dataset, Sample
from handssl.errors import DataError

BOX_MARGIN = 1.25
FORMAT_VERSION = 1
Progress = Callable[[int, int], None]


class Manifest(Config):
    """What a store holds and where it came from.

    Attributes:
        crop_px: Side S of the stored crops.
        context: Side of a crop in box sides.
        outside_share: Share of stored pixels that lay outside their source images.
        fingerprint: Of the source dataset and the packing, at most 32 hex characters.
    """

    format_version: int
    dataset: str
    split: str
    count: int
    crop_px: int
    context: float
    labelled: bool
    outside_share: float
    fingerprint: str


class PackedStore:
    """A packed split on disk, mapped into memory and shared by all processes that open it.

    Args:
        folder: Where `pack` wrote it.

    Raises:
        DataError: The folder is no complete store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "manifest.json").is_file():
            raise DataError(f"{folder}: expected a packed store with manifest.json, found none")
        self.manifest = Manifest.load(folder / "manifest.json")
        # Copy-on-write pages are shared until written to, and torch accepts them without a warning.
        self._images: NDArray[np.uint8] = np.load(folder / "images.npy", mmap_mode="c")
        with np.load(folder / "labels.npz", allow_pickle=False) as labels:
            self._labels: dict[str, NDArray[Any]] = dict(labels)

    def __len__(self) -> int:
        return self.manifest.count

    @cached_property
    def ids(self) -> torch.Tensor:
        """Sample ids, int64 (N,)."""
        return torch.from_numpy(self._labels["ids"])

    def crops(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return crops, uint8 (B, 3, S, S) in channels-last memory order."""
        return torch.from_numpy(self._images[indices]).permute(0, 3, 1, 2)

    def label(self, name: str) -> NDArray[Any]:
        """Return one label array of the whole store: uv, xyz, camera, valid, ids or groups.

        Raises:
            DataError: The dataset has no such label.
        """
        if name not in self._labels:
            raise DataError(f"{self.folder}: expected label {name!r}, the dataset is unlabelled")
        return self._labels[name]

    @property
    def box_px(self) -> float:
        """Side of the crop box in pixels of the stored crop."""
        return self.manifest.crop_px / self.manifest.context


def pack(
    dataset: Dataset,
    folder: Path,
    *,
    crop_px: int,
    context: float,
    on_progress: Progress | None = None,
    threads: int = 2,
) -> PackedStore:
    """Convert one split into a packed store, or open the one that is already there.

    Args:
        dataset: Any reader.
        folder: Where the store goes; written beside it and renamed when complete.
        crop_px: Side S of the stored crops.
        context: Side of a crop in box sides; at least what the transformations reach.
        on_progress: Called with (done, total).
        threads: Decoding threads.

    Returns:
        The opened store.

    Raises:
        DataError: The folder holds something else, or a sample is damaged.
    """
    wanted = _fingerprint(dataset, crop_px, context)
    if (folder / "manifest.json").is_file():
        return _reuse(folder, wanted)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    outside, labels = _write_arrays(dataset, partial, crop_px, context, on_progress, threads)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        dataset=dataset.name,
        split=dataset.split,
        count=len(dataset),
        crop_px=crop_px,
        context=context,
        labelled="xyz" in labels,
        outside_share=outside,
        fingerprint=wanted,
    )
    (partial / "manifest.json").write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    partial.rename(folder)
    return PackedStore(folder)


def _fingerprint(dataset: Dataset, crop_px: int, context: float) -> str:
    parts = (FORMAT_VERSION, dataset.fingerprint, dataset.split, len(dataset), crop_px, context)
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _reuse(folder: Path, wanted: str) -> PackedStore:
    store = PackedStore(folder)
    if store.manifest.fingerprint != wanted:
        raise DataError(
            f"{folder}: expected a store with fingerprint {wanted}, found "
            f"{store.manifest.fingerprint}; choose another folder or remove this one"
        )
    return store


def _write_arrays(
    dataset: Dataset,
    folder: Path,
    crop_px: int,
    context: float,
    on_progress: Progress | None,
    threads: int,
) -> tuple[float, dict[str, NDArray[Any]]]:
    shape = (len(dataset), crop_px, crop_px, 3)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    rows = []
    with ThreadPoolExecutor(threads) as pool:
        crop = lambda index: crop_sample(dataset[index], crop_px, context)  # noqa: E731
        for index, (image, row) in enumerate(pool.map(crop, range(len(dataset)))):
            images[index] = image
            rows.append(row)
            if on_progress is not None:
                on_progress(index + 1, len(dataset))
    images.flush()
    labels = {name: np.stack([row[name] for row in rows]) for name in rows[0] if name != "outside"}
    np.savez(folder / "labels.npz", allow_pickle=False, **labels)
    return float(np.mean([row["outside"] for row in rows])), labels


def crop_sample(
    sample: Sample, crop_px: int, context: float
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Cut the crop of one sample and carry its labels along.

    Args:
        sample: From a reader.
        crop_px: Side S of the crop.
        context: Side of the crop in box sides.

    Returns:
        The crop, uint8 (S, S, 3), and its row of labels, with `outside`, the share of the crop's
        pixels that lie outside the image.
    """
    centre, side_px = box_of(sample)
    scale = context * side_px / crop_px
    # Crop pixel c shows source pixel centre + (c + 1/2 - S/2) scale.
    origin = centre + (0.5 - crop_px / 2) * scale
    to_source = np.array([[scale, 0.0, origin[0]], [0.0, scale, origin[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = cv2.warpAffine(
        sample.image, to_source, (crop_px, crop_px), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    row: dict[str, Any] = {
        "ids": np.int64(sample.id),
        "groups": np.int64(sample.group),
        "valid": sample.valid,
    }
    row["outside"] = _outside_share(sample.image.shape[:2], origin, scale, crop_px)
    if sample.uv is not None and sample.xyz is not None and sample.camera is not None:
        to_crop = np.array([[1, 0, -origin[0]], [0, 1, -origin[1]], [0, 0, scale]]) / scale
        row |= {"uv": (sample.uv - origin) / scale, "xyz": sample.xyz}
        row["camera"] = to_crop @ sample.camera
    return np.asarray(image, dtype=np.uint8), row


def box_of(sample: Sample) -> tuple[NDArray[np.float64], float]:
    """Return centre (x, y) and side of a sample's crop box in pixels of its image.

    The box is the square of 1.25 times the larger extent of the valid joints, centred on their
    bounding box; without labels it is the largest square at the image's centre.
    """
    height, width = sample.image.shape[:2]
    if sample.uv is None:
        return np.array([(width - 1) / 2, (height - 1) / 2]), float(min(height, width))
    joints = sample.uv[sample.valid]
    low, high = joints.min(axis=0), joints.max(axis=0)
    return (low + high) / 2, BOX_MARGIN * float((high - low).max())


def _outside_share(
    shape: tuple[int, int], origin: NDArray[np.float64], scale: float, crop_px: int
) -> float:
    height, width = shape
    steps = np.arange(crop_px) * scale
    inside_x = np.mean((origin[0] + steps >= -0.5) & (origin[0] + steps <= width - 0.5))
    inside_y = np.mean((origin[1] + steps >= -0.5) & (origin[1] + steps <= height - 0.5))
    return float(1.0 - inside_x * inside_y)
