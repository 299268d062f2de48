"""One shard of a packing: cut, written, made durable, and only then marked as done.

A store that is being made is a folder `<name>.partial` with `images.npy`, which has room for all
rows, and for every finished shard a folder of label arrays. What a kill leaves is continued; what
is not finished is done again.
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
from handssl.data.sample import Reader, file_of
from handssl.data.sources import Observing, Sources, state_of
from handssl.errors import DataError

POSES = ("uv", "xyz", "camera")
LABELS = ("slots", "ids", "groups", "valid", "mirrored", "outside", *POSES)
"""The label arrays of a shard and of a store; unlabelled stores lack the poses."""

SHARD_ROWS = 512
"""Rows that are written, made durable and checked together."""


@dataclass(frozen=True)
class Target:
    """Where shards of one packing go, and how.

    Attributes:
        folder: The folder that is being filled; its `images.npy` has room for all rows.
        offset: Bytes before the first row.
        crop_px: Side S of the crops.
        context: Side of a crop in box sides.
        skip_damaged: Whether damaged samples are left out; else the first one is raised.
    """

    folder: Path
    offset: int
    crop_px: int
    context: float
    skip_damaged: bool


def write_shard(shared: tuple[Reader, Target], first: int) -> tuple[int, list[str]]:
    """Pack the samples of one shard.

    Args:
        shared: The dataset, and where its shards go.
        first: First position of the shard, and first row of its crops.

    Returns:
        Samples seen, and what is wrong with those left out.

    Raises:
        DataError: A sample is damaged and may not be left out.
        OSError: The disk is full or failed.
    """
    reader, target = shared
    content = hashlib.sha256()
    rows: list[Row] = []
    damage: list[str] = []
    seen = Observing()
    positions = range(first, min(first + SHARD_ROWS, len(reader)))
    with (target.folder / "images.npy").open("r+b", buffering=0) as file:
        file.seek(target.offset + first * 3 * target.crop_px**2)
        for position in positions:
            source = file_of(reader, position)
            before = state_of(source)
            try:
                image, row = crop_sample(reader[position], target.crop_px, target.context)
            except DataError as error:
                if not target.skip_damaged:
                    raise
                damage.append(str(error))
                seen.add(source, before, damaged=True)
                file.seek(3 * target.crop_px**2, os.SEEK_CUR)
            else:
                rows.append(row | {"slots": np.int64(position)})
                seen.add(source, before)
                _write(file, image)
                content.update(checksum(image))
        # The crops are safe before anything says that they are.
        os.fsync(file.fileno())
    labels = {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
    mark_done(target.folder, first, labels, digest_labels(content, labels), damage, seen.sources())
    return len(positions), damage


def checksum(image: NDArray[np.uint8]) -> bytes:
    """Return the CRC-32 of a crop: enough against chance, at half the cost of a strong hash."""
    return zlib.crc32(image.data).to_bytes(4, "little")


def digest_labels(content: Any, labels: Arrays) -> str:
    """Return the digest of a shard: of its labels and the checksums already in `content`."""
    for name in LABELS if labels else ():
        # Where nothing is labelled a store keeps no poses.
        if name not in POSES or labels["valid"].any():
            content.update(np.ascontiguousarray(labels[name]))
    return str(content.hexdigest()[:32])


def finished_shards(folder: Path) -> dict[int, Path]:
    """Return the notes of every finished shard by first row."""
    return {int(path.stem): path for path in sorted((folder / "shards").glob("?????????.npz"))}


def read_shard(path: Path) -> Arrays:
    """Return what a finished shard noted: its labels, `digest`, `damage` and its sources.

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
    """Note that a shard is finished, its crops being on disk.

    Args:
        folder: The folder that is being filled.
        first: First row of the shard.
        labels: Of its samples.
        digest: Of labels and crops.
        damage: What is wrong with the samples that were left out.
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
