"""Read the images and annotations of a split into columns."""

from __future__ import annotations

import operator
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.data.arrays import Arrays
from handssl.data.readers.interhand.streaming import flags, stream_items
from handssl.data.readers.interhand.world import ORDER, Lookup
from handssl.errors import DataError

IDS = 10**10
"""Official ids are below this."""

_SIDES = {"right": 0, "left": 1, "interacting": 2}
_PARTS = ("sequence", "folder", "file")
_NUMBERS = ("id", "capture", "width", "height", "camera", "frame")


def read_hands(path: Path) -> Arrays:
    """Return single-hand annotations: image id, whether left, validity (N, 21) in our order.

    Raises:
        DataError: An annotation lacks a field or has a wrong length.
    """
    ids, left, valid = array("q"), bytearray(), bytearray()
    for entry in stream_items(path, "annotations"):
        where = f"{path}: id {entry.get('image_id')}"
        side = _side(entry, where)
        if side < 2:
            ids.append(entry["image_id"])
            left.append(side)
            valid += flags(entry.get("joint_valid"), where)[21 * side + ORDER].tobytes()
    return {
        "id": np.array(ids, dtype=np.int64),
        "left": np.frombuffer(left, dtype=np.bool_),
        "valid": np.frombuffer(valid, dtype=np.bool_).reshape(-1, 21),
    }


def _side(entry: dict[str, Any], where: str) -> int:
    image_id, hand_type = entry.get("image_id"), entry.get("hand_type")
    if not isinstance(image_id, int) or not 0 <= image_id < IDS:
        raise DataError(f"{where}: expected a whole number below 10^10 as image_id")
    if hand_type not in _SIDES:
        raise DataError(
            f"{where}: expected hand_type right, left or interacting, found {hand_type!r:.60}"
        )
    return _SIDES[hand_type]


class _Table:
    """Column of strings, stored as integer codes."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._column = array("i")

    def add(self, text: str) -> None:
        self._column.append(self._codes.setdefault(text, len(self._codes)))

    def sorted(self) -> tuple[NDArray[np.int32], NDArray[np.bytes_]]:
        """Return codes and sorted strings; a code is the rank of its string."""
        names = np.array([text.encode() for text in self._codes], dtype="S")
        order = np.argsort(names, kind="stable")
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return rank[np.array(self._column, dtype=np.int32)], names[order]


def read_images(path: Path, cameras: Lookup, frames: Lookup) -> Arrays:
    """Return the images: id, capture, size, rows of camera and frame (-1: none), coded path.

    Args:
        path: The `data` file.
        cameras: Camera rows by (capture, name).
        frames: Frame rows by (capture, frame).

    Raises:
        DataError: An image lacks a field.
    """
    columns = [array("q") for _ in _NUMBERS]
    tables = [_Table() for _ in _PARTS]
    for entry in stream_items(path, "images"):
        values, parts = _image(path, entry, cameras, frames)
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        for table, part in zip(tables, parts, strict=True):
            table.add(part)
    found: Arrays = {n: np.array(c, dtype=np.int64) for n, c in zip(_NUMBERS, columns, strict=True)}
    for name, table in zip(_PARTS, tables, strict=True):
        found[name], found[f"{name}_name"] = table.sorted()
    return found


def _image(
    path: Path, entry: dict[str, Any], cameras: Lookup, frames: Lookup
) -> tuple[tuple[int, ...], list[str]]:
    """Return the numbers of an image in the order of `_NUMBERS`, and the parts of its path."""
    try:
        capture, frame = int(entry["capture"]), int(entry["frame_idx"])
        camera = cameras.get((capture, str(entry["camera"])), -1)
        size = operator.index(entry["width"]), operator.index(entry["height"])
        numbers = (operator.index(entry["id"]), capture, *size)
        parts = ["", "", *entry["file_name"].rsplit("/", 2)][-3:]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: id {entry.get('id')}: expected an image with file_name, width, height, "
            f"capture, camera and frame_idx, found {type(error).__name__} {error}"
        ) from None
    if max(map(abs, numbers)) >= IDS:
        raise DataError(f"{path}: id {numbers[0]}: expected numbers below 10^10, found {numbers}")
    return (*numbers, camera, frames.get((capture, frame), -1)), parts
