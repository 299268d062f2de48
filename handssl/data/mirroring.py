"""Mirror left hands to right ones: image, labels, camera and box.

u' = W - 1 - u, X' = -X, cx' = W - 1 - cx; y and depth are unchanged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handssl.data.sample import Sample


def mirrored(sample: Sample) -> Sample:
    """Return the mirror image of a sample, marked as mirrored; invalid labels stay 0.

    Args:
        sample: Sample of a left hand.

    Example:
        >>> image = np.zeros((4, 10, 3), dtype=np.uint8)
        >>> image[1, 2] = 255
        >>> hand = mirrored(Sample(image, 1, 1, "x", uv=np.tile([2.0, 1.0], (21, 1)), side="left"))
        >>> hand.image[1, 7].tolist(), hand.uv[0].tolist()
        ([255, 255, 255], [7.0, 1.0])
    """
    last = sample.image.shape[1] - 1
    known = sample.valid[:, None]
    uv, xyz, camera, box = sample.uv, sample.xyz, sample.camera, sample.box
    if uv is not None:
        uv = np.where(known, np.array([last, 0.0]) + uv * [-1.0, 1.0], 0.0)
    if xyz is not None:
        xyz = np.where(known, xyz * [-1.0, 1.0, 1.0], 0.0)
    if camera is not None:
        # x' = -x also flips the sign of the skew: K' = M K diag(-1, 1, 1), M mirrors pixels.
        camera = np.array([[-1.0, 0, last], [0, 1, 0], [0, 0, 1]]) @ camera @ np.diag([-1.0, 1, 1])
    if box is not None:
        box = (last - box[0], box[1], box[2])
    image = np.ascontiguousarray(sample.image[:, ::-1])
    return replace(sample, image=image, uv=uv, xyz=xyz, camera=camera, box=box, mirrored=True)
