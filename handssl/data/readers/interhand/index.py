"""Index of a released split: one row of a few arrays per image of a single hand.

The JSON is parsed, joined and checked once; later the arrays are mapped from a cache.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays, cached_arrays
from handssl.data.readers.interhand.annotations import IDS, read_hands, read_images
from handssl.data.readers.interhand.layout import SplitFiles
from handssl.data.readers.interhand.world import ORDER, camera_joints_mm, read_cameras, read_frames
from handssl.data.sample import Rows
from handssl.errors import DataError

_VERSION = 1
_CHECK_ROWS = 65_536
_ROW_TYPES = {
    "id": np.int64,
    "capture": np.int16,
    "width": np.int32,
    "height": np.int32,
    "camera": np.int32,
    "frame": np.int32,
    "sequence": np.int32,
    "folder": np.int32,
    "file": np.int32,
}
_PATH = ("sequence", "folder", "file")
CAPTURES = 1_000
"""Captures are numbered below this."""


def open_index(files: SplitFiles) -> Arrays:
    """Return the index of a split, from the cache if it was parsed before.

    Args:
        files: Files of the split.

    Returns:
        For each row, ascending by `id`: `left`, `valid` (N, 21), `width`, `height`, `capture`,
        the path as codes of `sequence_name`, `folder_name`, `file_name`, `camera` (a row of
        `camera_name`, `camrot`, `campos`, `focal`, `princpt`) and `frame` (a row of `world`
        (F, 42, 3), mm); and `digest` of all arrays.

    Raises:
        DataError: The annotations are damaged or inconsistent.
    """
    return cached_arrays(files.annotations, f"interhand-{_VERSION}", lambda: _parse(files))


def _parse(files: SplitFiles) -> Arrays:
    cameras, camera_rows = read_cameras(files.camera)
    frames, frame_rows = read_frames(files.joint_3d)
    hands = read_hands(files.data)
    images = read_images(files.data, camera_rows, frame_rows)
    index = _join(files, hands, images) | cameras
    _check_rows(files, index)
    frame_valid = frames["world_valid"][
        index["frame"][:, None], 21 * index["left"].astype(np.int64)[:, None] + ORDER
    ]
    index["valid"] = index["valid"] & frame_valid
    index |= _keep_used_frames(index, frames)
    _check_joints(files, index)
    index["digest"] = np.array([_digest(index)])
    return index


def _join(files: SplitFiles, hands: Arrays, images: Arrays) -> Arrays:
    """Join every hand with its image; both lists are in arbitrary order."""
    hand_order, image_order = np.argsort(hands["id"]), np.argsort(images["id"])
    ids, image_ids = hands["id"][hand_order], images["id"][image_order]
    for name, values in (("annotation of one hand", ids), ("image", image_ids)):
        twice = values[1:][values[1:] == values[:-1]]
        if len(twice):
            raise DataError(f"{files.data}: id {twice[0]}: expected one {name}, found several")
    if not len(ids):
        raise DataError(f"{files.data}: expected images of one hand, found none")
    place = np.searchsorted(image_ids, ids).clip(max=max(0, len(image_ids) - 1))
    orphan = image_ids[place] != ids if len(image_ids) else np.ones(len(ids), dtype=bool)
    if orphan.any():
        raise DataError(
            f"{files.data}: id {ids[orphan][0]}: expected an image for the annotation, found none"
        )
    rows = image_order[place]
    joined = {name: images[name][rows] for name in _ROW_TYPES}
    tables = {name: images[name] for name in images if name.endswith("_name")}
    return joined | tables | {name: hands[name][hand_order] for name in ("left", "valid")}


def _check_rows(files: SplitFiles, index: Arrays) -> None:
    """Reject rows without camera or frame and numbers out of range; then narrow the types."""
    area = np.minimum(index["width"], index["height"])
    checks = (
        (files.camera, index["camera"] < 0, "a camera", "none"),
        (files.joint_3d, index["frame"] < 0, "a frame with world_coord", "none"),
        (files.data, (area < 1) | (area > 65_535), "a size in pixels", "another"),
        (files.data, ~_within(index["capture"], CAPTURES), "a capture below 1000", "another"),
        (files.data, ~_within(index["id"], IDS), "an id below 10^10", "another"),
    )
    for path, bad, expected, found in checks:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{path}: id {index['id'][row]}: expected {expected} for "
                f"{image_path(index, row)}, found {found}"
            )
    for name, dtype in _ROW_TYPES.items():
        index[name] = index[name].astype(dtype)


def _within(values: NDArray[Any], limit: int) -> NDArray[np.bool_]:
    return np.asarray((values >= 0) & (values < limit))


def _keep_used_frames(index: Arrays, frames: Arrays) -> Arrays:
    """Return the frames that rows refer to, ordered by capture and number."""
    used = np.unique(index["frame"])
    used = used[np.lexsort(frames["world_key"][used].T[::-1])]
    rank = np.zeros(len(frames["world"]), dtype=np.int32)
    rank[used] = np.arange(len(used), dtype=np.int32)
    return {"frame": rank[index["frame"]], "world": frames["world"][used]}


def _check_joints(files: SplitFiles, index: Arrays) -> None:
    for start in range(0, len(index["id"]), _CHECK_ROWS):
        rows: Rows = np.arange(start, min(start + _CHECK_ROWS, len(index["id"])))
        xyz = camera_joints_mm(index, rows)
        bad = index["valid"][rows] & ~((xyz[..., 2] > 0) & np.isfinite(xyz).all(axis=2))
        if bad.any():
            row, joint = np.argwhere(bad)[0]
            raise DataError(
                f"{files.joint_3d}: id {index['id'][start + row]}: expected valid joints in front "
                f"of the camera (z > 0), found joint {joint} at "
                f"{xyz[row, joint].round(2).tolist()} mm"
            )


def _digest(index: Arrays) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(index):
        array = np.ascontiguousarray(index[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.view(np.uint8).data if array.size else b"")
    return digest.hexdigest().encode()


def image_path(index: Arrays, row: int) -> str:
    """Return the path of an image as in `file_name`, relative to the split's folder."""
    parts = (bytes(index[f"{n}_name"][index[n][row]]).decode() for n in _PATH)
    return "/".join(part for part in parts if part)
