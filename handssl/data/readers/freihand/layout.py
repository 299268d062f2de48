"""Expected content and paths of a FreiHAND root.

<root>/training/rgb/%08d.jpg                image id = unique id + unique ids x version
<root>/training_{K,xyz,scale}.json          one entry per unique id
<root or other>/evaluation/rgb/%08d.jpg     numbered from 0, one version
<root or other>/evaluation_{K,xyz,scale}.json
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handssl.config import nearest
from handssl.data.procedural.freihand_manifest import ProceduralManifest
from handssl.data.readers.freihand.annotations import list_path
from handssl.data.readers.freihand.hints import explain_root
from handssl.data.readers.freihand.splits import RULES, UNIQUE, SplitRule, official_split
from handssl.data.sample import Rows, Split
from handssl.errors import DataError, InputError

VERSIONS = ("gs", "hom", "sample", "auto")
"""Backgrounds in the order of the files: green screen, harmonised, auto-coloured with sample
points, auto-coloured."""

_EVALUATION, _IMAGE_PX = 3_960, 224


@dataclass(frozen=True, eq=False)
class Layout:
    """Expected content of a root.

    Attributes:
        unique: Number of annotated training ids.
        versions: Names of all image versions of an id.
        evaluation: Number of evaluation images, if they are present.
        image_px: Side of the images in pixels.
        ids: Unique ids of each split.
        split_rule: Description of the rule that divides the ids into splits.
        identity: Text that determines the images apart from the annotations.
        stated_by: Path of the `procedural.json` that states it; empty for official data.
    """

    unique: int
    versions: tuple[str, ...]
    evaluation: int
    image_px: int
    ids: dict[Split, Rows]
    split_rule: str
    identity: str
    stated_by: tuple[Path, ...] = ()


def read_layout(root: Path, rule: SplitRule) -> Layout:
    """Return the official layout, or the one stated in `procedural.json`.

    Args:
        root: Folder that contains `training/`.
        rule: Split rule for official ids; procedural sets define their own splits.

    Raises:
        DataError: This is not a FreiHAND root; the message suggests what it may be.
        InputError: The rule is unknown.
    """
    if not ((root / "training" / "rgb").is_dir() and list_path(root, "training", "K").is_file()):
        raise DataError(explain_root(root))
    official = official_split(rule)
    path = root / "procedural.json"
    if path.is_file():
        return _procedural(path)
    return Layout(UNIQUE, VERSIONS, _EVALUATION, _IMAGE_PX, official, RULES[rule], rule)


def _procedural(path: Path) -> Layout:
    manifest = _read_manifest(path)
    spec = manifest.spec
    ids = {s: np.arange(*ends) for s, ends in manifest.unique_ids.items() if s != "evaluation"}
    return Layout(
        spec.unique,
        VERSIONS[: spec.versions],
        spec.evaluation,
        spec.image_px,
        {split: rows for split, rows in ids.items() if len(rows)},
        "by unique id with all its versions: every split has subjects, lights and backgrounds of "
        "its own",
        manifest.fingerprint,
        (path,),
    )


def _read_manifest(path: Path) -> ProceduralManifest:
    try:
        return ProceduralManifest.parse(json.loads(path.read_bytes()), where=str(path))
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, found text that is not ({error})") from None
    except InputError as error:
        raise DataError(f"{error}; write the set again") from None


def choose_versions(root: Path, layout: Layout, asked: Collection[str] | None) -> tuple[str, ...]:
    """Return the versions to read, in the order of the files.

    Args:
        root: Folder that contains `training/`.
        layout: Expected content of the root.
        asked: Requested versions; None selects all that the root has.

    Raises:
        DataError: The root has no images.
        InputError: A version is unknown or not in the root, or the request is empty.
    """
    there = tuple(name for name in layout.versions if _has_version(root, layout, name))
    if not there:
        raise DataError(f"{root}: expected images in training/rgb, found none; unpack it again")
    if asked is None:
        return there
    if not asked:
        raise InputError(f"{root}: expected at least one version, found none{nearest('', there)}")
    for name in asked:
        if name not in layout.versions:
            raise InputError(f"{root}: no version {name!r}{nearest(name, layout.versions)}")
        if name not in there:
            raise InputError(
                f"{root}: version {name!r}: expected {_first_image(root, layout, name)}, found "
                f"none; the root has {', '.join(there)}"
            )
    return tuple(name for name in there if name in asked)


def _first_image(root: Path, layout: Layout, version: str) -> Path:
    return image_path(root, "training", layout.versions.index(version) * layout.unique)


def _has_version(root: Path, layout: Layout, version: str) -> bool:
    # First or last image: a version that lacks only one of them is damaged, not absent.
    first = layout.versions.index(version) * layout.unique
    ends = (first, first + layout.unique - 1)
    return any(image_path(root, "training", number).is_file() for number in ends)


def image_path(root: Path, part: str, number: int) -> Path:
    """Return the path of an image of `training` or `evaluation`."""
    # One parse: joining part by part costs as much as reading the file.
    return Path(f"{root}/{part}/rgb/{number:08d}.jpg")
