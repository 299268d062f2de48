"""Shards of a packing: cropped, written, made durable, and only then marked as finished.

A store in progress is a folder `<name>.partial` with `images.npy`, which has space for all rows,
and one file of notes for every finished shard. After an interruption, packing resumes with the
shards that are not finished.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays
from handssl.data.crops import Row, crop_sample
from handssl.data.manifest import Cropping
from handssl.data.sample import Reader, file_of
from handssl.data.sources import Observing, Sources, state_of
from handssl.errors import DataError

POSES = ("uv", "xyz", "camera")
LABELS = ("slots", "ids", "groups", "valid", "mirrored", "outside", *POSES)
"""The label arrays of a shard and of a store; unlabelled stores lack the poses."""

SHARD_ROWS = 512
"""Number of rows that are written, made durable and checked together."""


@dataclass(frozen=True)
class Target:
    """Output folder and settings of the shards of one packing.

    Attributes:
        folder: The folder that is being filled; its `images.npy` has space for all rows.
        offset: Byte offset of the first row.
        cropping: Settings of the crops.
        skip_damaged: Whether damaged samples are left out; otherwise the first one raises.
    """

    folder: Path
    offset: int
    cropping: Cropping
    skip_damaged: bool


def write_shard(shared: tuple[Reader, Target], first: int) -> tuple[int, list[str]]:
    """Pack the samples of one shard.

    Args:
        shared: The dataset, and the target of its shards.
        first: First position of the shard, and first row of its crops.

    Returns:
        Number of samples processed, and a message for each sample left out.

    Raises:
        DataError: A sample is damaged and may not be left out.
        OSError: The disk is full or failed.
    """
    reader, target = shared
    row_bytes = 3 * target.cropping.crop_px**2
    content = hashlib.sha256()
    rows: list[Row] = []
    damage: list[str] = []
    seen = Observing()
    positions = range(first, min(first + SHARD_ROWS, len(reader)))
    with (target.folder / "images.npy").open("r+b", buffering=0) as file:
        file.seek(target.offset + first * row_bytes)
        for position in positions:
            source = file_of(reader, position)
            before = state_of(source)
            try:
                image, row = crop_sample(reader[position], *target.cropping)
            except DataError as error:
                if not target.skip_damaged:
                    raise
                damage.append(str(error))
                seen.add(source, before, damaged=True)
                file.seek(row_bytes, os.SEEK_CUR)
            else:
                rows.append(row | {"slots": np.int64(position)})
                seen.add(source, before)
                _write(file, image)
                content.update(checksum(image))
        # The crops must be durable before the shard is marked as finished.
        os.fsync(file.fileno())
    labels = {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
    mark_done(target.folder, first, labels, digest_labels(content, labels), damage, seen.sources())
    return len(positions), damage


def checksum(image: NDArray[np.uint8]) -> bytes:
    """Return the CRC-32 of a crop: detects random damage at half the cost of a strong hash."""
    return zlib.crc32(image.data).to_bytes(4, "little")


def digest_labels(content: Any, labels: Arrays) -> str:
    """Return the digest of a shard's labels and of the checksums already in `content`."""
    for name in LABELS if labels else ():
        # A store without any label has no poses.
        if name not in POSES or labels["valid"].any():
            content.update(np.ascontiguousarray(labels[name]))
    return str(content.hexdigest()[:32])


def finished_shards(folder: Path) -> dict[int, Path]:
    """Return the path of every finished shard's notes by first row."""
    return {int(path.stem): path for path in sorted((folder / "shards").glob("?????????.npz"))}


def read_shard(path: Path) -> Arrays:
    """Return the notes of a finished shard: its labels, `digest`, `damage` and sources.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as notes:
            return dict(notes)
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path}: expected the notes of a shard, found none ({error})") from None


def _write(file: FileIO, image: NDArray[np.uint8]) -> None:
    rest = image.data.cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def mark_done(
    folder: Path,
    first: int,
    labels: Arrays,
    digest: str,
    damage: Sequence[str],
    sources: Sources,
) -> None:
    """Mark a shard whose crops are on disk as finished.

    Args:
        folder: The folder that is being filled.
        first: First row of the shard.
        labels: Labels of its samples.
        digest: Digest of labels and crops.
        damage: One message for each sample left out.
        sources: The files it was packed from.
    """
    path = folder / "shards" / f"{first:09d}.npz"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            digest=np.array(digest),
            damage=np.array(damage, dtype=str),
            **sources.arrays(),
            **labels,
        )
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
