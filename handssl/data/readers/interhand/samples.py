"""Make samples from index rows; left hands are mirrored to right ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handssl.data.arrays import Arrays
from handssl.data.image_files import read_image
from handssl.data.mirroring import mirrored
from handssl.data.readers.interhand.annotations import IDS
from handssl.data.readers.interhand.index import CAPTURES, image_path
from handssl.data.readers.interhand.layout import RELEASED, SplitFiles
from handssl.data.readers.interhand.world import Floats, camera_joints_mm, camera_matrix
from handssl.data.sample import Rows, Sample


@dataclass(frozen=True, eq=False)
class Part:
    """A released split.

    Attributes:
        files: Paths of its files.
        index: Index of its single-hand images.
        rows: Selected rows of the index, (n,).
    """

    files: SplitFiles
    index: Arrays
    rows: Rows


def make_sample(part: Part, row: int) -> Sample:
    """Read an image and its labels; a left hand is mirrored to a right one.

    Args:
        part: The split.
        row: Row of its index.

    Raises:
        DataError: The image is missing or damaged.
    """
    index, number = part.index, RELEASED.index(part.files.released)
    valid = np.array(index["valid"][row])
    size_px = int(index["width"][row]), int(index["height"][row])
    path = file_of_row(part, row)
    image = read_image(path, size_px)
    xyz, camera = camera_joints_mm(index, np.array([row]))[0] / 1000.0, camera_matrix(index, row)
    sample = Sample(
        image=image,
        id=int(index["id"][row]) + IDS * number,
        group=int(index["capture"][row]) + CAPTURES * number,
        source=str(path),
        uv=_project(xyz, camera, valid),
        xyz=np.where(valid[:, None], xyz, 0.0),
        valid=valid,
        camera=camera,
        side="left" if index["left"][row] else "right",
    )
    return mirrored(sample) if sample.side == "left" else sample


def file_of_row(part: Part, row: int) -> Path:
    """Return the image path of an index row."""
    return part.files.images / image_path(part.index, row)


def _project(xyz: Floats, camera: Floats, valid: np.ndarray) -> Floats:
    """Return pixel coordinates, 0 for invalid joints, whose positions are arbitrary."""
    uv = np.zeros((len(xyz), 2))
    homogeneous = xyz[valid] @ camera.T
    uv[valid] = homogeneous[:, :2] / homogeneous[:, 2:]
    return uv
