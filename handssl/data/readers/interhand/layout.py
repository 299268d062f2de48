"""Paths of the files of InterHand2.6M: the tree of v1.0 and the older one.

annotations/<split>/InterHand2.6M_<split>_{data,camera,joint_3d}.json    v1.0
annotations/all/InterHand2.6M_<split>_{data,camera,joint_3d}.json        older
images/<split>/Capture<n>/<sequence>/cam<id>/image<frame>.jpg            both
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from handssl.errors import DataError

Released = Literal["train", "val", "test"]
RELEASED: tuple[Released, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class SplitFiles:
    """The files of one released split.

    Attributes:
        released: Name of the split.
        images: Folder that `file_name` is relative to.
        data: JSON file of images and annotations.
        camera: JSON file of the cameras of every capture.
        joint_3d: JSON file of the world coordinates of every frame.
    """

    released: Released
    images: Path
    data: Path
    camera: Path
    joint_3d: Path

    @property
    def annotations(self) -> tuple[Path, Path, Path]:
        """The three annotation files."""
        return self.data, self.camera, self.joint_3d


def find_splits(root: Path) -> tuple[SplitFiles, ...]:
    """Return the released splits whose annotations and images are both on disk.

    Args:
        root: Folder that contains `annotations/` and `images/`.

    Raises:
        DataError: There is no such split, or one of its annotation files is missing.
    """
    found = _present(root)
    if not found:
        raise DataError(_wrong_root(root))
    for files in found:
        for path in files.annotations:
            if not path.is_file():
                raise DataError(f"{path}: expected annotations, found no file")
    return found


def _present(root: Path) -> tuple[SplitFiles, ...]:
    candidates = (_files(root, name, folder) for name in RELEASED for folder in (name, "all"))
    found: dict[Released, SplitFiles] = {}
    for files in candidates:
        if files.data.is_file() and files.images.is_dir():
            found.setdefault(files.released, files)
    return tuple(found.values())


def _files(root: Path, released: Released, folder: str) -> SplitFiles:
    stem = root / "annotations" / folder / f"InterHand2.6M_{released}"
    data, camera, joint_3d = (
        stem.with_name(f"{stem.name}_{kind}.json") for kind in ("data", "camera", "joint_3d")
    )
    return SplitFiles(released, root / "images" / released, data, camera, joint_3d)


def _wrong_root(root: Path) -> str:
    names = sorted(path.name for path in root.iterdir())[:8] if root.is_dir() else []
    near = [*root.glob("*"), *root.glob("*/*"), root.parent, *root.parent.glob("*")]
    likely = next((path for path in near if path.is_dir() and _present(path)), None)
    return (
        f"{root}: expected annotations/<split>/InterHand2.6M_<split>_data.json and images/<split> "
        f"for train, val or test, found {', '.join(names) if names else 'nothing'}"
        + (f"; did you mean {likely}?" if likely else "; choose the folder that holds both")
    )
