"""Explain why a folder is not a FreiHAND root and suggest the right one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_IMAGES = (".jpg", ".jpeg", ".png")
_LOOKED_AT = 64


def explain_root(root: Path) -> str:
    """Return the message for a folder without `training/rgb` and `training_K.json`.

    Args:
        root: Folder given by the user.

    Returns:
        The expected content, the content found, and a suggestion if there is one.
    """
    names = [path.name for path in _inside(root)]
    found = ", ".join(sorted(names)[:8]) if names else "nothing"
    hint = _hint(root)
    return (
        f"{root}: expected a FreiHAND root with training/rgb and training_K.json, found {found}"
        + (f"; {hint}" if hint else "")
    )


def _hint(root: Path) -> str | None:
    near = next((path for path in _near(root) if _is_root(path)), None)
    if near is not None:
        return f"did you mean {near}?"
    if (root / "evaluation_K.json").is_file() or (root / "evaluation" / "rgb").is_dir():
        return (
            "this looks like the evaluation release: give it as evaluation_root, and the training "
            "release as root"
        )
    if _is_interhand(root):
        return "this looks like InterHand2.6M, use the dataset name interhand"
    archives = [path.name for path in _inside(root) if path.suffix == ".zip"]
    if archives:
        return f"unpack {archives[0]} there first"
    if any(path.suffix.lower() in _IMAGES for path in _images(root)):
        return "this looks like a folder of images, use the dataset name folder"
    return None


def _inside(folder: Path) -> list[Path]:
    try:
        return list(islice(folder.iterdir(), _LOOKED_AT))
    except OSError:  # not a folder, or no permission
        return []


def _near(root: Path) -> Iterator[Path]:
    yield from (root.parent, root.parent.parent)
    for path in _inside(root):
        yield path
        yield from _inside(path)
    if root.name.endswith("_eval"):
        yield root.with_name(root.name.removesuffix("_eval"))


def _is_root(path: Path) -> bool:
    return (path / "training_K.json").is_file() and (path / "training").is_dir()


def _is_interhand(root: Path) -> bool:
    folders = (root, root / "annotations", root.parent / "annotations")
    names = ("InterHand2.6M_*.json", "*/InterHand2.6M_*.json")
    return any(path for folder in folders for name in names for path in folder.glob(name))


def _images(root: Path) -> Iterator[Path]:
    for path in _inside(root):
        yield path
        yield from _inside(path)
