"""One labelled or unlabelled hand image, and what every reader of a dataset is."""

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
"""What a study reads; `evaluation`, a second test set, is there with FreiHAND alone."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of one hand.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        id: Whole number, unique in its dataset; addresses the sample's random draws.
        group: What must never be divided between splits (unique id, capture, subject).
        source: Dataset and file the image came from, for messages.
        uv: float64 (21, 2), pixels of `image`, x right and y down; None if unlabelled.
        xyz: float64 (21, 3), metres in the camera frame (x right, y down, z forward), or None.
        valid: bool (21,), joints whose labels may be used; labels are 0 elsewhere.
        camera: float64 (3, 3), pinhole matrix of `image`, or None.
        side: Which hand it was in the world, 'right' or 'left'.
        mirrored: The left hand was made a right one: image, labels and camera are mirrored.
        box: (centre x, centre y, side) of the crop box in pixels, where the labels do not give
            one, e.g. from a detector; or None.
        box_first: The crop is cut around `box` even where there are labels.
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
    """All images of a dataset, each once, and which of them every split shows.

    Attributes:
        name: Of the dataset.
        fingerprint: At most 32 hex characters; of everything known before an image is read
            (annotations, options), so that other content has another one.
        splits: Positions of every split that the dataset has.
        split_rule: One sentence for the manifest: by which unit splits are divided.

    A reader of files has a method `file_of(index)` too, which returns the path of the file that a
    sample's image is read from: packing then finds files that were repaired or replaced.
    """

    name: str
    fingerprint: str
    splits: Mapping[Split, Rows]
    split_rule: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def file_of(reader: Reader, index: int) -> Path | None:
    """Return the file that a sample's image is read from; None if the reader names none."""
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
        split: One of the splits it has.

    Raises:
        InputError: It does not have that split.
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
