"""One labelled or unlabelled hand image, as every reader returns it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Split = Literal["pretrain", "probe", "select", "test"]
SPLITS: tuple[Split, ...] = ("pretrain", "probe", "select", "test")


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
        valid: bool (21,), joints whose labels may be used.
        camera: float64 (3, 3), pinhole matrix of `image`, or None.
        side: 'right' or 'left'.
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


@runtime_checkable
class Dataset(Protocol):
    """What every reader is: a sequence of samples of one split that says what it is.

    `fingerprint` is at most 32 hex characters and changes when the content does.
    """

    name: str
    split: Split
    fingerprint: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


__all__ = ["SPLITS", "Dataset", "Sample", "Split"]
