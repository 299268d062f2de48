"""Validate the labels of a converted dataset; errors name the first invalid row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.data.readers.npz_file import FIELDS, Heads
from handssl.errors import DataError
from handssl.pose import project
from handssl.pose.skeleton import BONE, JOINT_NAMES

MAX_DISAGREEMENT_PX = 2.0
BONE_RANGE_M = (0.02, 0.25)
"""Plausible median length from wrist to middle MCP: outside of it, the unit is wrong. Adults have
0.09."""

_INTERHAND = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]
_UNITS = {"m": 1.0, "mm": 1e-3}
_KINDS = {"uint8": "u", "text": "U", "float": "fiu", "bool": "b", "int": "iu"}
Bools = NDArray[np.bool_]


class Check:
    """Checks of one file that raise descriptive errors.

    Args:
        path: The file.
        count: Number of its samples.
    """

    def __init__(self, path: Path, count: int) -> None:
        self.path, self.count = path, count

    def that(self, good: bool, name: str, expected: str, found: object) -> None:
        """Raise DataError unless `good`."""
        if not good:
            raise DataError(f"{self.path}: {name}: expected {expected}, found {found}")

    def every(self, good: Bools, name: str, expected: str, found: NDArray[Any]) -> None:
        """Raise DataError with row, joint and value unless all of `good`, (N,) or (N, 21), hold."""
        wrong = np.argwhere(~good)
        if len(wrong):
            first = tuple(wrong[0].tolist())
            joint = f", {JOINT_NAMES[first[1]]}" if len(first) == 2 else ""
            more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
            value = f"{found[first].tolist()}{more}"
            self.that(False, f"{name}, row {first[0]}{joint}", expected, value)

    def shape(self, name: str, array: NDArray[Any]) -> None:
        """Raise DataError unless type and shape match `FIELDS`."""
        kind, text, _ = FIELDS[name]
        self.that(array.dtype.kind in _KINDS[kind], name, kind, array.dtype)
        fits = any(_fits(array.shape, shape, self.count) for shape in text.split(" or "))
        expected = f"shape {text}" + (f" with N = {self.count}" if "N" in text else "")
        self.that(fits, name, expected, f"shape {array.shape}")


def pose_of(check: Check, heads: Heads) -> dict[str, Any]:
    """Return uv, xyz, camera (None if not given) and valid of all rows.

    Args:
        check: Checks of the file.
        heads: Its arrays, with valid types and shapes.

    Returns:
        Labels in metres and in our joint order, 0 where invalid.

    Raises:
        DataError: Values are not finite, not in front of the camera, in another unit, or
            inconsistent.
    """
    order = str(heads.get("joint_order", "handssl"))
    check.that(order in ("handssl", "interhand"), "joint_order", "handssl or interhand", order)
    joints = _INTERHAND if order == "interhand" else list(range(21))
    valid = heads["valid"][:, joints] if "valid" in heads else np.ones((check.count, 21), bool)
    uv = _finite(check, "uv", heads["uv"][:, joints], valid) if "uv" in heads else None
    if "xyz" not in heads:
        return {"uv": uv, "xyz": None, "camera": None, "valid": valid}
    camera = _camera(check, heads)
    xyz = _metres(check, heads, joints, valid)
    seen = project(np.where(valid[..., None], xyz, 1.0), camera)
    if uv is None:
        uv = np.where(valid[..., None], seen, 0.0)
    else:
        apart = np.linalg.norm(uv - seen, axis=2)
        expected = f"pixels within {MAX_DISAGREEMENT_PX:g} px of xyz projected by camera"
        check.every((apart <= MAX_DISAGREEMENT_PX) | ~valid, "uv", expected, apart)
    return {"uv": uv, "xyz": xyz, "camera": camera, "valid": valid}


def check_labelled(check: Check, pose: dict[str, Any], split: NDArray[np.str_]) -> None:
    """Raise DataError unless all rows outside pretrain have the labels a probe needs.

    Args:
        check: Checks of the file.
        pose: Labels returned by `pose_of`.
        split: Split name of each row, (N,).
    """
    labelled = split != "pretrain"
    if pose["xyz"] is None:
        check.every(~labelled, "split", "pretrain, as there is no xyz", split)
    else:
        ends = pose["valid"][:, BONE]
        names = " and ".join(JOINT_NAMES[joint] for joint in BONE)
        good = ends.all(axis=1) | ~labelled
        check.every(good, "valid", f"{names} outside pretrain: depth needs them", ends)


def _fits(shape: tuple[int, ...], text: str, count: int) -> bool:
    wanted = [part.strip() for part in text.strip("()").split(",") if part.strip()]
    return shape == tuple(count if part == "N" else int(part) for part in wanted)


def _finite(check: Check, name: str, values: NDArray[Any], valid: Bools) -> NDArray[np.float64]:
    values = values.astype(np.float64)
    good = np.isfinite(values).all(axis=2) | ~valid
    check.every(good, name, "finite numbers where valid", values)
    return np.where(valid[..., None], values, 0.0)


def _camera(check: Check, heads: Heads) -> NDArray[np.float64]:
    check.that("camera" in heads, "camera", "matrices with xyz", "none")
    camera = np.broadcast_to(heads["camera"].astype(np.float64), (check.count, 3, 3))
    good = np.isfinite(camera).all(axis=(1, 2)) & (camera[:, [0, 1], [0, 1]] > 0).all(axis=1)
    good &= (camera[:, 2] == [0, 0, 1]).all(axis=1) & (camera[:, 1, 0] == 0)
    expected = "finite numbers [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx, fy > 0"
    check.every(good, "camera", expected, camera)
    return camera


def _metres(check: Check, heads: Heads, joints: list[int], valid: Bools) -> NDArray[np.float64]:
    unit = str(heads.get("unit", "none"))
    check.that(unit in _UNITS, "unit", "m or mm with xyz", unit)
    xyz = _finite(check, "xyz", heads["xyz"][:, joints], valid) * _UNITS[unit]
    check.every((xyz[..., 2] > 0) | ~valid, "xyz", "joints in front of the camera (z > 0)", xyz)
    ends = valid[:, BONE].all(axis=1)
    if ends.any():
        length = float(np.median(np.linalg.norm(xyz[ends, BONE[0]] - xyz[ends, BONE[1]], axis=1)))
        low, high = BONE_RANGE_M
        expected = f"{low:g} to {high:g} m from wrist to middle MCP in the median sample"
        check.that(low <= length <= high, "xyz", expected, f"{length:.3g} m; is {unit!r} the unit?")
    return xyz
