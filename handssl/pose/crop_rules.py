"""Square boxes around the labelled joints of a hand, which images are cropped to."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handssl.errors import InputError

Floats = NDArray[np.float64]
CropRule = Literal["published", "extent"]
BoxSource = Literal["published", "extent", "detector"]
BOX_MARGIN = 1.25


def crop_box(uv: Floats, rule: CropRule = "published") -> tuple[Floats, float]:
    """Return centre and side of the square box around joints.

    `published`: centred on the mean m of the joints, side 2 x 1.25 x max_j |uv_j - m|, so that no
    joint leaves the box when the image is turned about its centre. `extent`: centred on the
    bounding box of the joints, side 1.25 times its larger edge.

    Args:
        uv: (J, 2), the labelled joints in pixels, J >= 1.
        rule: `published` or `extent`.

    Returns:
        Centre (x, y) and side, in pixels; the side is 0 if the joints coincide.

    Raises:
        InputError: There is no joint, or the shape is wrong.

    Example:
        >>> crop_box(np.array([[0.0, 0.0], [8.0, 0.0]]))
        (array([4., 0.]), 10.0)

    Reference:
        The code published with the paper, which also rounds centre and half side down to pixels.
    """
    uv = np.asarray(uv, dtype=np.float64)  # sums and differences of bytes would wrap
    if uv.ndim != 2 or uv.shape[1] != 2 or not len(uv):
        raise InputError(f"uv: expected shape (J, 2) with J >= 1, got {uv.shape}")
    if rule == "extent":
        low, high = uv.min(axis=0), uv.max(axis=0)
        return (low + high) / 2, BOX_MARGIN * float((high - low).max())
    centre = uv.mean(axis=0)
    return centre, 2.0 * BOX_MARGIN * float(np.linalg.norm(uv - centre, axis=1).max())
