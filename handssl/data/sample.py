"""Sample of one hand image, and the interface of dataset readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from handssl.config import nearest
from handssl.errors import InputError

Split = Literal["pretrain", "probe", "select", "test", "evaluation"]

SPLITS: tuple[Split, ...] = ("pretrain", "probe", "select", "test")
"""Splits of a study; only FreiHAND also has `evaluation`, a second test set."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of one hand.

    Attributes:
        image: RGB image, uint8 (H, W, 3).
        id: Integer, unique in its dataset; determines the sample's random draws.
        group: Unit that must not be divided between splits (unique id, capture, subject).
        source: Dataset and file of the image, for messages.
        uv: Joints in pixels of `image`, x right and y down, float64 (21, 2); None if unlabelled.
        xyz: Joints in metres in the camera frame (x right, y down, z forward), float64 (21, 3), or
            None.
        valid: Joints whose labels may be used, bool (21,); other labels are 0.
        camera: Pinhole matrix of `image`, float64 (3, 3), or None.
        side: Handedness in the world, 'right' or 'left'.
        mirrored: Whether image, labels and camera of a left hand were mirrored.
        box: (centre x, centre y, side) of the crop box in pixels for samples without labels, e.g.
            from a detector; or None.
        box_first: Whether the crop is centred on `box` even if there are labels.
    """

    image: NDArray[np.uint8]
    id: int
    group: int
    source: str
    uv: NDArray[np.float64] | None = None
    xyz: NDArray[np.float64] | None = None
    valid: NDArray[np.bool_] = field(default_factory=lambda: np.ones(21, dtype=bool))
    camera: NDArray[np.float64] | None = None
    side: Literal["right", "left"] = "right"
    mirrored: bool = False
    box: tuple[float, float, float] | None = None
    box_first: bool = False


@runtime_checkable
class Reader(Protocol):
    """All images of a dataset, each once, and the positions of every split.

    Attributes:
        name: Name of the dataset.
        fingerprint: At most 32 hex characters, of everything known before an image is read
            (annotations, options), so that different content has a different one.
        splits: Positions of the samples of every split of the dataset.
        split_rule: One sentence for the manifest: how the splits are divided.

    A reader of files also has a method `file_of(index)`, which returns the path of a sample's image
    file: packing then detects files that were repaired or replaced.
    """

    name: str
    fingerprint: str
    splits: Mapping[Split, Rows]
    split_rule: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def file_of(reader: Reader, index: int) -> Path | None:
    """Return the file that a sample's image is read from; None if the reader has none."""
    file_of_reader = getattr(reader, "file_of", None)
    named = None if file_of_reader is None else file_of_reader(index)
    return None if named is None else Path(named)


@runtime_checkable
class Dataset(Protocol):
    """One split of a dataset: a sequence of samples."""

    name: str
    split: Split
    fingerprint: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class SplitView:
    """One split of a reader, as a sequence of samples.

    Args:
        reader: The dataset.
        split: One of its splits.

    Raises:
        InputError: The reader does not have that split.
    """

    def __init__(self, reader: Reader, split: Split) -> None:
        if split not in reader.splits:
            raise InputError(f"{reader.name}: no split {split!r}{nearest(split, reader.splits)}")
        self.reader, self.split = reader, split
        self.name, self.fingerprint = reader.name, reader.fingerprint
        self.rows = reader.splits[split]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.reader[int(self.rows[index])]


__all__ = ["SPLITS", "Dataset", "Reader", "Rows", "Sample", "Split", "SplitView", "file_of"]
