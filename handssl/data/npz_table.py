"""Read and check one .npz of a converted dataset, without its images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from handssl.config import nearest
from handssl.data.npz_schema import FIELDS
from handssl.data.sample import SPLITS, Rows
from handssl.errors import DataError
from handssl.pose import project

MAX_DISAGREEMENT_PX = 2.0
_INTERHAND = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]
_UNITS = {"m": 1.0, "mm": 1e-3}
_KINDS = {"uint8": "u", "text": "U", "float": "fiu", "bool": "b", "int": "iu"}
_Heads = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Table:
    """One checked .npz without its images: metres, joints in our order, invalid labels 0.

    Attributes:
        path: The file.
        files: Names of the images, or None if they are inside.
        uv: (N, 21, 2) px, or None; likewise xyz (m), camera (N, 3, 3).
        xyz: See uv.
        camera: See uv.
        valid: bool (N, 21).
        left: bool (N,).
        split: (N,) text.
        group: int64 (N,) or None; likewise id.
        id: See group.
        digest: Of all that was read.
    """

    path: Path
    files: NDArray[np.str_] | None
    uv: NDArray[np.float64] | None
    xyz: NDArray[np.float64] | None
    camera: NDArray[np.float64] | None
    valid: NDArray[np.bool_]
    left: NDArray[np.bool_]
    split: NDArray[np.str_]
    group: Rows | None
    id: Rows | None
    digest: str

    def __len__(self) -> int:
        return len(self.valid)

    def labels(self, row: int) -> dict[str, Any]:
        """Return uv, xyz, camera and valid of one sample."""
        named = {"uv": self.uv, "xyz": self.xyz, "camera": self.camera, "valid": self.valid}
        return {name: values[row] for name, values in named.items() if values is not None}


def read_table(path: Path) -> Table:
    """Read one .npz, but not its images.

    Args:
        path: The file.

    Raises:
        DataError: It cannot be read, or an array is not what `FIELDS` says.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            heads = {name: arrays[name] for name in arrays.files if name != "image"}
            inside = _image_head(arrays) if "image" in arrays.files else None
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(
            f"{path}: expected a .npz without pickles, cannot read it ({error})"
        ) from None
    check = _Check(path)
    for name in heads:
        check.that(name in FIELDS, name, f"a known array{nearest(name, FIELDS)}", "this name")
    check.that(
        (inside is None) != ("image_file" not in heads),
        "image, image_file",
        "one of the two",
        "both or none",
    )
    shape, checksum = inside or (heads["image_file"].shape, 0)
    return _table(check, heads, shape[0] if shape else 0, _digest(heads, checksum))


class _Check:
    """Says what is wrong with one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def that(self, good: bool, name: str, expected: str, found: object) -> None:
        if not good:
            raise DataError(f"{self.path}: {name}: expected {expected}, found {found}")

    def rows(self, good: NDArray[np.bool_], name: str, expected: str, found: NDArray[Any]) -> None:
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            self.that(False, f"{name}, row {row}", expected, found[row].tolist())


def _table(check: _Check, heads: _Heads, count: int, digest: str) -> Table:
    for name, array in heads.items():
        _check_shape(check, name, array, count)
    posed = _pose(check, heads, count)
    split = _words(check, heads, "split", count, "pretrain", SPLITS)
    return Table(
        path=check.path,
        files=heads.get("image_file"),
        left=_words(check, heads, "side", count, "right", ("right", "left")) == "left",
        split=split,
        group=_numbers(heads, "group"),
        id=_ids(check, heads),
        digest=digest,
        **posed,
    )


def _check_shape(check: _Check, name: str, array: NDArray[Any], count: int) -> None:
    kind, text, _ = FIELDS[name]
    shapes = [
        tuple(count if n == "N" else int(n) for n in _numbers_in(part))
        for part in text.split(" or ")
    ]
    check.that(array.dtype.kind in _KINDS[kind], name, kind, array.dtype)
    check.that(
        array.shape in shapes, name, f"shape {text} with N = {count}", f"shape {array.shape}"
    )


def _numbers_in(shape: str) -> list[str]:
    return [part for part in shape.strip("()").replace(" ", "").split(",") if part]


def _pose(check: _Check, heads: _Heads, count: int) -> dict[str, Any]:
    """Return uv, xyz, camera and valid: metres, our joint order, 0 where invalid."""
    order = str(heads.get("joint_order", "handssl"))
    check.that(order in ("handssl", "interhand"), "joint_order", "handssl or interhand", order)
    joints = _INTERHAND if order == "interhand" else list(range(21))
    valid = heads["valid"][:, joints] if "valid" in heads else np.ones((count, 21), dtype=bool)
    uv = heads["uv"][:, joints].astype(float) if "uv" in heads else None
    if "xyz" not in heads:
        return {"uv": _known(check, "uv", uv, valid), "xyz": None, "camera": None, "valid": valid}
    for name in ("unit", "camera"):
        check.that(name in heads, name, "it beside xyz", "none")
    unit = str(heads["unit"])
    check.that(unit in _UNITS, "unit", "m or mm", unit)
    xyz = _known(check, "xyz", heads["xyz"][:, joints] * _UNITS[unit], valid)
    camera = np.broadcast_to(heads["camera"].astype(float), (count, 3, 3))
    check.rows(np.isfinite(camera).all(axis=(1, 2)), "camera", "finite numbers", camera)
    before = (xyz[..., 2] > 0) | ~valid
    check.rows(before.all(axis=1), "xyz", "joints before the camera (z > 0)", xyz)
    return {
        "uv": _agreeing(check, uv, project(np.where(valid[..., None], xyz, 1.0), camera), valid),
        "xyz": xyz,
        "camera": camera,
        "valid": valid,
    }


def _known(check: _Check, name: str, values: Any, valid: NDArray[np.bool_]) -> Any:
    if values is None:
        return None
    good = np.isfinite(values).all(axis=2) | ~valid
    check.rows(good.all(axis=1), name, "finite numbers where valid", values)
    return np.where(valid[..., None], values, 0.0)


def _agreeing(check: _Check, uv: Any, projected: Any, valid: NDArray[np.bool_]) -> Any:
    """Return the pixels given, if they are where `xyz` is seen."""
    if uv is None:
        return np.where(valid[..., None], projected, 0.0)
    uv = _known(check, "uv", uv, valid)
    apart = np.linalg.norm(uv - projected, axis=2)
    good = ((apart <= MAX_DISAGREEMENT_PX) | ~valid).all(axis=1)
    expected = f"pixels within {MAX_DISAGREEMENT_PX:g} px of xyz projected by camera"
    check.rows(good, "uv", expected, np.where(valid, apart, 0.0).max(axis=1))
    return uv


def _words(
    check: _Check, heads: _Heads, name: str, count: int, default: str, allowed: tuple[str, ...]
) -> NDArray[np.str_]:
    words = heads.get(name, np.full(count, default))
    check.rows(np.isin(words, allowed), name, f"one of {', '.join(allowed)}", words)
    return words


def _numbers(heads: _Heads, name: str) -> Rows | None:
    return heads[name].astype(np.int64) if name in heads else None


def _ids(check: _Check, heads: _Heads) -> Rows | None:
    ids = _numbers(heads, "id")
    if ids is not None:
        check.rows(ids >= 0, "id", "0 or more", ids)
    return ids


def _image_head(arrays: Any) -> tuple[tuple[int, ...], int]:
    """Return shape and checksum of the images without reading them."""
    with arrays.zip.open("image.npy") as file:
        version = np.lib.format.read_magic(file)
        read: Callable[..., Any] = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"image: expected uint8 (N, H, W, 3), found {dtype} {shape}")
    return tuple(shape), arrays.zip.getinfo("image.npy").CRC


def _digest(heads: _Heads, image_checksum: int) -> str:
    digest = hashlib.blake2b(str(image_checksum).encode(), digest_size=16)
    for name in sorted(heads):
        digest.update(f"{name} {heads[name].dtype} {heads[name].shape}".encode())
        digest.update(heads[name].tobytes())
    return digest.hexdigest()
