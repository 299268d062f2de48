"""One shard of a packing: cut, written, made durable, and only then marked as done.

A store that is being made is a folder `<name>.partial` with `images.npy`, which has room for all
rows, and for every finished shard a folder of label arrays. What a kill leaves is continued; what
is not finished is done again.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays
from handssl.data.crops import Row, crop_sample
from handssl.data.sample import Reader
from handssl.errors import DataError

POSES = ("uv", "xyz", "camera")
LABELS = ("slots", "ids", "groups", "valid", "mirrored", "outside", *POSES)
"""The label arrays of a shard and of a store; unlabelled stores lack the poses."""

SHARD_ROWS = 512
"""Rows that are written, made durable and checked together."""


class StoppedError(Exception):
    """Another shard failed or the user interrupted: leave this one."""


@dataclass(frozen=True)
class Target:
    """Where shards of one packing go.

    Attributes:
        folder: The folder that is being filled.
        file: Descriptor of `images.npy`, open for writing.
        offset: Bytes before the first row.
        crop_px: Side S of the crops.
        context: Side of a crop in box sides.
        on_damage: Called with what is wrong with a sample; raises if it may not be left out.
        after_each: Called after every sample; may raise `StoppedError`.
    """

    folder: Path
    file: int
    offset: int
    crop_px: int
    context: float
    on_damage: Callable[[DataError], None]
    after_each: Callable[[], None]


def write_shard(reader: Reader, first: int, target: Target) -> None:
    """Pack the samples of one shard.

    Args:
        reader: The dataset.
        first: First position of the shard, and first row of its crops.
        target: Where it goes.

    Raises:
        DataError: A sample is damaged and may not be left out.
        OSError: The disk is full or failed.
        StoppedError: Raised by `target.after_each`.
    """
    content = hashlib.sha256()
    rows: list[Row] = []
    damage: list[str] = []
    for position in range(first, min(first + SHARD_ROWS, len(reader))):
        try:
            image, row = crop_sample(reader[position], target.crop_px, target.context)
        except DataError as error:
            target.on_damage(error)
            damage.append(str(error))
        else:
            rows.append(row | {"slots": np.int64(position)})
            _write(target, position, image)
            content.update(checksum(image))
        target.after_each()
    labels = {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
    # The crops are safe before anything says that they are.
    os.fsync(target.file)
    _mark_done(target.folder, first, labels, digest_labels(content, labels), damage)


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
    """Return what a finished shard noted: its labels, `digest` and `damage`.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as notes:
            return dict(notes)
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path}: expected the notes of a shard, found none ({error})") from None


def _write(target: Target, row: int, image: NDArray[np.uint8]) -> None:
    rest, place = image.data.cast("B"), target.offset + row * image.nbytes
    while rest:
        written = os.pwrite(target.file, rest, place)
        rest, place = rest[written:], place + written


def _mark_done(
    folder: Path, first: int, labels: Arrays, digest: str, damage: Sequence[str]
) -> None:
    path = folder / "shards" / f"{first:09d}.npz"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            digest=np.array(digest),
            damage=np.array(damage, dtype=str),
            **labels,
        )
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
