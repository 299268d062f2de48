"""Read the cameras and world coordinates of a split into arrays.

World coordinates are in mm; cam = R (X - campos), u = f x / z + c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays
from handssl.data.readers.interhand.streaming import JOINTS, flags, numbers, stream_pairs
from handssl.data.sample import Rows
from handssl.errors import DataError

Lookup = Mapping[tuple[int, Any], int]

_SHAPES = {"camrot": (3, 3), "campos": (3,), "focal": (2,), "princpt": (2,)}


def read_cameras(path: Path) -> tuple[Arrays, Lookup]:
    """Return cameras ordered by capture and name, and their rows by (capture, name).

    Raises:
        DataError: A parameter is missing, has a wrong shape or is not finite.
    """
    entries = {
        (_number(path, capture), name): {key: values[key].get(name) for key in _SHAPES}
        for capture, values in stream_pairs(path)
        for name in _camera_names(path, capture, values)
    }
    keys = sorted(entries)
    columns: Arrays = {"camera_name": np.array([name.encode() for _, name in keys], dtype="S")}
    for parameter, shape in _SHAPES.items():
        found = [_finite(path, key, parameter, entries[key][parameter], shape) for key in keys]
        columns[parameter] = np.array(found).reshape(-1, *shape)
    return columns, {key: row for row, key in enumerate(keys)}


def _camera_names(path: Path, capture: str, values: Any) -> list[str]:
    for parameter in _SHAPES:
        if not isinstance(values, dict) or not isinstance(values.get(parameter), dict):
            raise DataError(f"{path}: capture {capture}: expected {parameter}, found none")
    return sorted(set().union(*(values[parameter] for parameter in _SHAPES)))


def _finite(
    path: Path, key: tuple[int, str], parameter: str, value: Any, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    where = f"{path}: capture {key[0]} camera {key[1]}"
    found = numbers(value, shape, where, parameter)
    if not np.isfinite(found).all() or (parameter == "focal" and (found <= 0).any()):
        expected = "positive" if parameter == "focal" else "finite"
        raise DataError(f"{where}: expected a {expected} {parameter}, found {found.tolist()}")
    return found


def read_frames(path: Path) -> tuple[Arrays, Lookup]:
    """Return world coordinates and validity of every frame, and their rows by (capture, frame).

    Returns:
        `world` (F, 42, 3) in mm, `world_valid` (F, 42), `world_key` (F, 2) with capture and frame.

    Raises:
        DataError: A frame has arrays of wrong length.
    """
    rows: dict[tuple[int, Any], int] = {}
    world, valid = bytearray(), bytearray()
    for key, entry, where in _frame_entries(path):
        if key in rows:
            raise DataError(f"{where}: expected every frame once, found it again")
        rows[key] = len(rows)
        world += numbers(entry.get("world_coord"), (JOINTS, 3), where, "world_coord").tobytes()
        valid += flags(entry.get("joint_valid"), where).tobytes()
    columns: Arrays = {
        "world": np.frombuffer(world, dtype=np.float64).reshape(-1, JOINTS, 3),
        "world_valid": np.frombuffer(valid, dtype=np.bool_).reshape(-1, JOINTS),
        "world_key": np.array(list(rows), dtype=np.int64).reshape(-1, 2),
    }
    return columns, rows


def _frame_entries(path: Path) -> Iterator[tuple[tuple[int, int], dict[str, Any], str]]:
    """Yield (capture, frame), the entry, and its location for messages."""
    for capture, frames in stream_pairs(path):
        number = _number(path, capture)
        for frame, entry in _object(path, f"capture {capture}", frames).items():
            where = f"capture {capture} frame {frame}"
            key = number, _number(path, frame)
            yield key, _object(path, where, entry), f"{path}: {where}"


def _object(path: Path, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{path}: {where}: expected an object, found {value!r:.60}")
    return value


def _number(path: Path, key: str) -> int:
    if not str(key).isdecimal():
        raise DataError(f"{path}: expected a whole number as key, found {key!r:.60}")
    return int(key)


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
