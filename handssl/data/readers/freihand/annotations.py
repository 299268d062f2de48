"""Parse the annotation lists of a FreiHAND root into arrays and cache them.

The list of vertices, 1.7 GB, is never opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays, cached_arrays
from handssl.errors import DataError

Floats = NDArray[np.float64]

_VERSION = 1
_SHAPES: dict[str, tuple[int, ...]] = {"K": (3, 3), "xyz": (21, 3), "scale": ()}
_BONE = (9, 10)
_SCALE_TOLERANCE_M = 1e-4


@dataclass(frozen=True, eq=False)
class Annotations:
    """Validated annotations of one set, one entry per id.

    Attributes:
        camera: Pinhole matrices, float64 (N, 3, 3), pixels.
        xyz: Joints, float64 (N, 21, 3), metres in the camera frame.
        digest: Digest of all lists, 16 bytes.
    """

    camera: Floats
    xyz: Floats
    digest: bytes


def list_path(root: Path, part: str, name: str) -> Path:
    """Return the path of a list: `<root>/<part>_<name>.json`."""
    return root / f"{part}_{name}.json"


def open_annotations(
    root: Path, part: str, count: int, counted_by: Sequence[Path] = ()
) -> Annotations:
    """Return the annotations of `training` or `evaluation`.

    Args:
        root: Folder that contains `<part>_{K,xyz,scale}.json`.
        part: `training` or `evaluation`.
        count: Expected number of entries of every list.
        counted_by: Files that determined `count`.

    Raises:
        DataError: A list is missing, is not JSON, or has a different length; an entry has a wrong
            shape, is not finite, lies behind the camera, or belongs to another id: the length of
            bone 9-10 differs from `scale` by more than 0.1 mm.
    """
    paths = [list_path(root, part, name) for name in _SHAPES]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: expected an annotation list, found none; unpack it again")
    arrays = cached_arrays(
        [*paths, *counted_by], f"freihand-{_VERSION}", lambda: _parse(root, part, count)
    )
    return Annotations(arrays["K"], arrays["xyz"], arrays["digest"].tobytes())


def _parse(root: Path, part: str, count: int) -> Arrays:
    lists = {
        name: _read_list(list_path(root, part, name), count, shape)
        for name, shape in _SHAPES.items()
    }
    _check_camera(list_path(root, part, "K"), lists["K"])
    _check_joints(list_path(root, part, "xyz"), lists["xyz"])
    _check_scale(list_path(root, part, "scale"), lists["scale"], lists["xyz"])
    digest = hashlib.blake2b(digest_size=16)
    for values in lists.values():
        digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    found = np.frombuffer(digest.digest(), dtype=np.uint8)
    return {"K": lists["K"], "xyz": lists["xyz"], "digest": found}


def _read_list(path: Path, count: int, shape: tuple[int, ...]) -> Floats:
    values = _read_json(path)
    found = len(values) if isinstance(values, list) else 0
    if found != count:
        raise DataError(
            f"{path}: expected {count} entries, found {found}; unpack the release again"
        )
    try:
        array = np.array(values, dtype=np.float64)
    except (ValueError, TypeError):
        array = np.zeros(0)
    if array.shape != (count, *shape):
        unique, entry = next((i, v) for i, v in enumerate(values) if _shape(v) != shape)
        raise DataError(
            f"{path}: id {unique}: expected shape {shape}, found {_shape_text(_shape(entry))}"
        )
    return array


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: expected an annotation list ({error.strerror})") from None
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, found text that is not ({error})") from None


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        return np.array(value, dtype=np.float64).shape
    except (ValueError, TypeError):
        return None


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "lists of unequal lengths or no numbers" if shape is None else str(shape)


def _check_camera(path: Path, camera: Floats) -> None:
    focal = camera[:, (0, 1), (0, 1)]
    good = np.isfinite(camera).all(axis=(1, 2)) & (focal > 0).all(axis=1)
    _refuse(path, ~good, "a finite camera with focal lengths above 0", camera)


def _check_joints(path: Path, xyz: Floats) -> None:
    _refuse(path, ~np.isfinite(xyz).all(axis=(1, 2)), "finite joints", xyz)
    _refuse(path, ~(xyz[..., 2] > 0).all(axis=1), "joints in front of the camera, z > 0", xyz)


def _check_scale(path: Path, scale: Floats, xyz: Floats) -> None:
    length = np.linalg.norm(xyz[:, _BONE[0]] - xyz[:, _BONE[1]], axis=1)
    wrong = ~(np.abs(scale - length) <= _SCALE_TOLERANCE_M)
    if wrong.any():
        unique = int(wrong.argmax())
        xyz_name = path.name.replace("scale", "xyz")
        raise DataError(
            f"{path}: id {unique}: expected {length[unique]:.6f} m, the bone 9-10 of {xyz_name}, "
            f"found {scale[unique]:.6f} m ({int(wrong.sum())} ids in all); the lists do not belong "
            "together: unpack both from one release"
        )


def _refuse(path: Path, wrong: Any, expected: str, values: Floats) -> None:
    if wrong.any():
        unique = int(wrong.argmax())
        found = np.array2string(values[unique], precision=4, separator=", ", threshold=12)
        raise DataError(
            f"{path}: id {unique}: expected {expected}, found {' '.join(found.split())} "
            f"({int(wrong.sum())} ids in all); unpack the release again"
        )
