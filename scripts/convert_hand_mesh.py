"""Convert the skinned right hand of @webxr-input-profiles/assets (MIT) into handssl's asset.

    npm pack @webxr-input-profiles/assets@1.0.20 && tar xzf webxr-input-profiles-assets-1.0.20.tgz
    python scripts/convert_hand_mesh.py package/dist/profiles/generic-hand/right.glb

Vertices that differ in texture coordinates alone are merged; the asset keeps vertices (m), faces,
rest transforms of 25 joints and skin weights. The output is the same for the same input.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
TARGET = Path(__file__).parents[1] / "handssl/data/procedural/assets/hand.npz"


class Glb:
    """A binary glTF file: its document and typed access to its buffer."""

    def __init__(self, path: Path) -> None:
        blob = path.read_bytes()
        (length,) = struct.unpack("<I", blob[12:16])
        self.document: dict[str, Any] = json.loads(blob[20 : 20 + length])
        self._buffer = blob[28 + length :]

    def array(self, accessor: int) -> np.ndarray:
        """Return the values of an accessor, (count, width)."""
        entry = self.document["accessors"][accessor]
        view = self.document["bufferViews"][entry["bufferView"]]
        offset = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
        width = WIDTHS[entry["type"]]
        dtype = DTYPES[entry["componentType"]]
        values = np.frombuffer(self._buffer, dtype, entry["count"] * width, offset)
        return values.reshape(entry["count"], width)


def convert(glb: Glb) -> dict[str, np.ndarray]:
    """Return the arrays of the asset."""
    primitive = glb.document["meshes"][0]["primitives"][0]
    attributes = {name: glb.array(index) for name, index in primitive["attributes"].items()}
    rounded = np.round(attributes["POSITION"], 6)
    vertices, first, inverse = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    faces = inverse.ravel()[glb.array(primitive["indices"]).reshape(-1, 3)]
    distinct = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    skin = glb.document["skins"][0]
    inverse_bind = glb.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    joints, shares = attributes["JOINTS_0"][first].T, attributes["WEIGHTS_0"][first].T
    weights = np.zeros((len(vertices), len(inverse_bind)))
    for joint, share in zip(joints, shares, strict=True):
        np.add.at(weights, (np.arange(len(vertices)), joint.astype(int)), share)
    return {
        "vertices": vertices.astype(np.float32),
        "faces": faces[distinct].astype(np.uint16),
        "rest": np.linalg.inv(inverse_bind.astype(np.float64)).astype(np.float32),
        "weights": (weights / weights.sum(1, keepdims=True)).astype(np.float16),
    }


if __name__ == "__main__":
    np.savez_compressed(TARGET, **convert(Glb(Path(sys.argv[1]))))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
