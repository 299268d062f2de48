"""Table of the validated arrays of one .npz file, without its images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handssl.config import nearest
from handssl.data.readers.npz_checks import Check, check_labelled, pose_of
from handssl.data.readers.npz_file import FIELDS, Heads, Inside, read_members
from handssl.data.sample import SPLITS, Rows


@dataclass(frozen=True, eq=False)
class Table:
    """Validated arrays of one .npz: metres, joints in our order, invalid labels 0.

    Attributes:
        path: The file.
        files: Names of the image files (N,), or None if the images are inside.
        inside: The images inside the file, or None.
        uv: Joints in pixels (N, 21, 2), or None.
        xyz: Joints in metres (N, 21, 3), or None.
        camera: Pinhole matrices in pixels (N, 3, 3), or None.
        valid: Whether each joint's labels may be used, bool (N, 21).
        left: Whether each hand is a left one, bool (N,).
        split: Split names, text (N,).
        group: Group numbers, int64 (N,), or None.
        id: Sample ids, int64 (N,), or None.
        digest: Digest of all arrays.
    """

    path: Path
    files: NDArray[np.str_] | None
    inside: Inside | None
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
        """Return copies of the available uv, xyz, camera and valid of one sample."""
        named = {"uv": self.uv, "xyz": self.xyz, "camera": self.camera, "valid": self.valid}
        return {name: values[row].copy() for name, values in named.items() if values is not None}


def read_table(path: Path) -> Table:
    """Read and validate one .npz file without its images.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read, or an array violates `FIELDS`.
    """
    heads, inside = read_members(path)
    check = Check(path, _count(heads, inside))
    for name in heads:
        check.that(name in FIELDS, name, f"a known array{nearest(name, FIELDS)}", "this name")
    found = "neither" if inside is None else "both"
    good = (inside is None) == ("image_file" in heads)
    check.that(good, "image, image_file", "one of the two", found)
    for name, array in heads.items():
        check.shape(name, array)
    return _table(check, heads, inside)


def _count(heads: Heads, inside: Inside | None) -> int:
    if inside is not None:
        return inside.shape[0]
    return heads["image_file"].size if "image_file" in heads else 0


def _table(check: Check, heads: Heads, inside: Inside | None) -> Table:
    pose = pose_of(check, heads)
    split = _words(check, heads, "split", "pretrain", SPLITS)
    check_labelled(check, pose, split)
    ids = _numbers(heads, "id")
    if ids is not None:
        check.every(ids >= 0, "id", "0 or more", heads["id"])
    return Table(
        path=check.path,
        files=heads.get("image_file"),
        inside=inside,
        left=_words(check, heads, "side", "right", ("right", "left")) == "left",
        split=split,
        group=_numbers(heads, "group"),
        id=ids,
        digest=_digest(heads, inside),
        **pose,
    )


def _words(
    check: Check, heads: Heads, name: str, default: str, allowed: tuple[str, ...]
) -> NDArray[np.str_]:
    words = heads.get(name, np.full(check.count, default))
    check.every(np.isin(words, allowed), name, f"one of {', '.join(allowed)}", words)
    return words


def _numbers(heads: Heads, name: str) -> Rows | None:
    return heads[name].astype(np.int64) if name in heads else None


def _digest(heads: Heads, inside: Inside | None) -> str:
    content = "" if inside is None else f"{inside.shape} {inside.checksum}"
    digest = hashlib.blake2b(content.encode(), digest_size=16)
    for name in sorted(heads):
        digest.update(f"{name} {heads[name].dtype} {heads[name].shape}".encode())
        digest.update(heads[name].tobytes())
    return digest.hexdigest()
