"""Transform joints from the world frame to the frame of a camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays
from handssl.data.sample import Rows

Floats = NDArray[np.float64]

# InterHand2.6M numbers each finger from tip to base and the wrist last; we from wrist to tips.
ORDER = np.array([20, *(base - k for base in (3, 7, 11, 15, 19) for k in range(4))])


def camera_joints_mm(index: Arrays, rows: Rows) -> Floats:
    """Return the joints of the annotated hand in the camera frame, R (X - campos).

    Args:
        index: Index returned by `open_index`.
        rows: Rows of the index, (n,).

    Returns:
        Joints (n, 21, 3), mm, our order; including joints that are not valid.
    """
    joints = 21 * index["left"][rows].astype(np.int64)[:, None] + ORDER
    world = index["world"][index["frame"][rows][:, None], joints]
    cameras = index["camera"][rows]
    centred = world - index["campos"][cameras][:, None]
    return np.asarray(np.einsum("nij,nkj->nki", index["camrot"][cameras], centred))


def camera_matrix(index: Arrays, row: int) -> Floats:
    """Return the pinhole matrix (3, 3) of an image, in pixels."""
    camera = int(index["camera"][row])
    (fx, fy), (cx, cy) = index["focal"][camera], index["princpt"][camera]
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
