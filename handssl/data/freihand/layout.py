"""What a FreiHAND root must hold, and where its parts lie.

<root>/training/rgb/%08d.jpg                image id = unique id + unique ids x version
<root>/training_{K,xyz,scale}.json          one entry a unique id
<root or other>/evaluation/rgb/%08d.jpg     likewise, one version
<root or other>/evaluation_{K,xyz,scale}.json
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handssl.config import nearest
from handssl.data.freihand.annotations import list_path
from handssl.data.freihand.hints import explain_root
from handssl.data.freihand.splits import RULES, UNIQUE, SplitRule, official_split
from handssl.data.procedural.freihand_manifest import ProceduralManifest
from handssl.data.sample import Rows, Split
from handssl.errors import DataError, InputError

VERSIONS = ("gs", "hom", "sample", "auto")
"""Backgrounds in the order of the files: green screen, harmonised, auto-coloured with sample
points, auto-coloured."""

_EVALUATION, _IMAGE_PX = 3_960, 224


@dataclass(frozen=True, eq=False)
class Layout:
    """What a root must hold.

    Attributes:
        unique: Annotated training ids.
        versions: Names of the images of each, all that the set was made with.
        evaluation: Evaluation images, if they are there.
        image_px: Side of the images.
        ids: Unique ids of each split.
        split_rule: By what they are divided.
        identity: What determines the images beside the annotations.
        stated_by: The `procedural.json` that says so; empty for official data.
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
    """Return the official layout, or what `procedural.json` says.

    Args:
        root: Folder that holds `training/`.
        rule: How official ids are divided; procedural ones have splits of their own.

    Raises:
        DataError: This is no FreiHAND root; the message says what it may be.
        InputError: There is no such rule.
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
    """Return the versions that are read, in the order of the files.

    Args:
        root: Folder that holds `training/`.
        layout: What it must hold.
        asked: Names; None takes all that the root has.

    Raises:
        DataError: The root has no images.
        InputError: A name is unknown, or the root does not have that version, or none is asked for.
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
    # Its first or its last image: a version that lost one of them is damaged, not absent.
    first = layout.versions.index(version) * layout.unique
    ends = (first, first + layout.unique - 1)
    return any(image_path(root, "training", number).is_file() for number in ends)


def image_path(root: Path, part: str, number: int) -> Path:
    """Return the file of an image of `training` or `evaluation`."""
    # One parse: joining part by part costs as much as reading the file.
    return Path(f"{root}/{part}/rgb/{number:08d}.jpg")
