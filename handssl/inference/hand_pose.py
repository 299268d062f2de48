"""The predicted pose of one hand in one photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.inference.photo import Photo
from handssl.pose import JOINT_NAMES

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HandPose:
    """Joints of a hand: in the photo, in 2.5D and in 3D.

    Attributes:
        photo: The photo.
        box: Centre x, centre y and side of the crop box in pixels of the photo.
        camera: Pinhole matrix of the photo, known or assumed, (3, 3).
        uv: Joints in pixels of the photo, x right and y down, (21, 2).
        z: Depths relative to the wrist in lengths of the bone wrist to middle_mcp, (21,).
        xyz_mm: Joints relative to the wrist in mm, x right, y down, z away from the camera,
            (21, 3).
        root_depth_mm: Distance of the wrist along the optical axis.
        bone_mm: Length of the bone, known or assumed.
        assumptions: What was assumed, one sentence each.
    """

    photo: Photo
    box: tuple[float, float, float]
    camera: Floats
    uv: Floats
    z: Floats
    xyz_mm: Floats
    root_depth_mm: float
    bone_mm: float
    assumptions: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the pose as plain values for JSON; pixels and mm are rounded to 1e-3."""
        rows, columns = self.photo.image.shape[:2]
        k = self.camera
        return {
            "image": self.photo.name,
            "size_px": [columns, rows],
            "side": self.photo.side,
            "box_px": _rounded(self.box),
            "camera": {
                "fx": round(float(k[0, 0]), 3),
                "fy": round(float(k[1, 1]), 3),
                "cx": round(float(k[0, 2]), 3),
                "cy": round(float(k[1, 2]), 3),
            },
            "joints": list(JOINT_NAMES),
            "uv_px": _rounded(self.uv),
            "z_bones": [round(float(one), 5) for one in self.z],
            "xyz_mm": _rounded(self.xyz_mm),
            "root_depth_mm": round(self.root_depth_mm, 2),
            "bone_mm": round(self.bone_mm, 2),
            "assumptions": list(self.assumptions),
        }


def _rounded(values: Any) -> Any:
    # Adding 0 turns -0.0 into 0.0.
    return (np.round(np.asarray(values, dtype=np.float64), 3) + 0.0).tolist()
