"""Find the FreiHAND evaluation set, in the training root or in a separate one."""

from __future__ import annotations

from pathlib import Path

from handssl.data.readers.freihand.annotations import list_path
from handssl.errors import DataError, InputError

_ADVICE = "FreiHAND_pub_v2_eval.zip holds it"


def find_evaluation(
    root: Path, evaluation_root: Path | None, count: int
) -> tuple[Path | None, tuple[str, ...]]:
    """Return the folder of the annotated evaluation set, or None with the reason.

    Args:
        root: Folder that contains `training/`.
        evaluation_root: Folder of the evaluation release; None searches `root` and its sibling
            `<root>_eval`.
        count: Number of evaluation images; 0 if the set has none.

    Raises:
        DataError: `evaluation_root` was given and does not contain the set.
        InputError: `evaluation_root` was given, but the set has no evaluation images.
    """
    if evaluation_root is not None:
        if not count:
            raise InputError(
                f"{evaluation_root}: expected no evaluation_root, since {root / 'procedural.json'} "
                "says that the set was made without evaluation images; leave it out"
            )
        if missing := _missing(evaluation_root):
            raise DataError(
                f"{evaluation_root}: expected the evaluation release, found no {missing}; {_ADVICE}"
            )
        return evaluation_root, ()
    sibling = root.absolute().with_name(root.absolute().name + "_eval")
    candidates = [root, sibling] if count else []
    there = next((folder for folder in candidates if not _missing(folder)), None)
    if there is not None:
        return there, ()
    begun = [folder for folder in candidates if _begun(folder)]
    return None, tuple(f"evaluation: no {_missing(f)}, left out; {_ADVICE}" for f in begun[:1])


def _missing(folder: Path) -> str | None:
    """Return the name of the first missing file or folder, or None."""
    for name in ("K", "xyz", "scale"):
        path = list_path(folder, "evaluation", name)
        if not path.is_file():
            return path.name
    return None if (folder / "evaluation" / "rgb").is_dir() else "evaluation/rgb"


def _begun(folder: Path) -> bool:
    """Whether a folder contains a part of the set, as the training release does."""
    return list_path(folder, "evaluation", "K").is_file() or (folder / "evaluation").is_dir()
