"""Stream the JSON files of InterHand2.6M, which are too large to load as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.errors import DataError, InputError

JOINTS = 42
"""Joints of both hands: right 0 to 20, left 21 to 41."""


def stream_items(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of the top-level list `name`, one at a time.

    Raises:
        DataError: The file cannot be read, is not JSON, or an entry is not an object.
        InputError: ijson is not installed.
    """
    for item in _guarded(path, "items", f"{name}.item"):
        if not isinstance(item, dict):
            raise DataError(f"{path}: expected objects in {name!r}, found {item!r:.60}")
        yield item


def stream_pairs(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the top-level keys with their values, one at a time.

    Raises:
        DataError: The file cannot be read or is not JSON.
        InputError: ijson is not installed.
    """
    yield from _guarded(path, "kvitems", "")


def _guarded(path: Path, function: str, prefix: str) -> Iterator[Any]:
    try:
        ijson = import_module("ijson")
    except ImportError:
        raise InputError(
            "InterHand2.6M's annotations are read with ijson, which is not installed; "
            "pip install ijson"
        ) from None
    try:
        with path.open("rb") as file:
            yield from getattr(ijson, function)(file, prefix, use_float=True)
    except OSError as error:
        raise DataError(f"{path}: expected annotations ({error.strerror})") from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())[:80]
        raise DataError(f"{path}: expected JSON, found text that is not ({text})") from None


def numbers(value: Any, shape: tuple[int, ...], where: str, name: str) -> NDArray[np.float64]:
    """Return nested lists as an array.

    Args:
        value: Value from the file.
        shape: Expected shape; a trailing 1 may be missing.
        where: File and entry, for the message.
        name: Name of the value, for the message.

    Raises:
        DataError: The value is not numeric or has another shape.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected {name} of shape {shape}, found {value!r:.60}") from None
    if array.shape != shape and (*array.shape, 1) != shape:
        raise DataError(f"{where}: expected {name} of shape {shape}, found {array.shape}")
    return array.reshape(shape)


def flags(value: Any, where: str) -> NDArray[np.bool_]:
    """Return `joint_valid`, 42 x 1 in the file, as bool (42,).

    Raises:
        DataError: The value has another length.
    """
    return np.asarray(numbers(value, (JOINTS, 1), where, "joint_valid")[:, 0] > 0)
