"""Write procedural hands in FreiHAND's layout.

    <root>/training/rgb/%08d.jpg       image id = unique id + unique hands x version
    <root>/training_K.json             one list per unique id: camera matrix
    <root>/training_xyz.json           21 x 3, metres
    <root>/training_scale.json         length of the bone 9-10, metres
    <root>/evaluation/rgb/%08d.jpg     optional; numbered from 0, one version
    <root>/evaluation_*.json           optional; same format
    <root>/procedural.json             data without a place in the official layout; written last

The folder is written under a temporary name and renamed when it is complete. The official
evaluation release is a separate folder; on request `evaluation*` is separate too, in `<root>_eval`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from handssl.data.procedural.dataset import ProceduralSpec
from handssl.data.procedural.freihand_images import Labels, write_images
from handssl.data.procedural.freihand_manifest import ProceduralManifest
from handssl.errors import DataError, InputError


def write_freihand(
    root: Path,
    spec: ProceduralSpec,
    *,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
    separate_evaluation: bool = False,
) -> Path:
    """Write a set of procedural hands, or keep the existing one.

    Args:
        root: The folder; it must not contain anything else.
        spec: Specification of the set.
        workers: Number of processes; 1 renders in this one.
        on_progress: Called with (images done, total images).
        separate_evaluation: Whether to write the evaluation images to `<root>_eval`.

    Returns:
        The root.

    Raises:
        DataError: A folder contains another set or something else, or is not writable.
        InputError: Separate evaluation images are requested, but the spec has none.
    """
    if separate_evaluation and not spec.evaluation:
        raise InputError("separate_evaluation: expected evaluation > 0 in the spec, found 0")
    folders = [root.with_name(root.name + "_eval"), root] if separate_evaluation else [root]
    missing = [folder for folder in folders if not _is_there(folder, spec)]
    if not missing:
        return root
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, spec, workers, on_progress)
        for folder in missing:
            _place(partial, folder, evaluation_only=folder != root)
    except OSError as error:
        raise DataError(f"{root}: cannot be written: {error.strerror or error}") from None
    return root


def _is_there(folder: Path, spec: ProceduralSpec) -> bool:
    """Whether a folder exists; raises DataError if it contains anything but this set."""
    if not folder.exists():
        return False
    path = folder / "procedural.json"
    if not path.is_file():
        raise DataError(f"{folder}: expected procedural hands or no folder, found something else")
    found = json.loads(path.read_text(encoding="utf-8")).get("fingerprint")
    if found != spec.fingerprint:
        raise DataError(
            f"{folder}: expected procedural hands {spec.fingerprint}, found {found}; "
            "choose another folder or remove this one"
        )
    return True


def _write(
    root: Path,
    spec: ProceduralSpec,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    parts = {"training": range(spec.unique)}
    if spec.evaluation:
        parts["evaluation"] = spec.unique_ids("evaluation")
    for part in parts:
        (root / part / "rgb").mkdir(parents=True)
    labels = write_images(root, spec, workers, on_progress)
    for part, uniques in parts.items():
        _write_labels(root, part, uniques, labels)
    manifest = ProceduralManifest.of(spec).model_dump_json(indent=2)
    (root / "procedural.json").write_text(manifest, encoding="utf-8")


def _write_labels(root: Path, part: str, uniques: range, labels: Labels) -> None:
    for name in ("K", "xyz", "scale"):
        values = [labels[unique][name] for unique in uniques]
        (root / f"{part}_{name}.json").write_text(json.dumps(values), encoding="utf-8")


def _place(partial: Path, folder: Path, *, evaluation_only: bool) -> None:
    """Move the written files to their final place."""
    if not evaluation_only:
        partial.rename(folder)
        return
    part = folder.with_name(folder.name + ".partial")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for path in partial.glob("evaluation*"):
        path.rename(part / path.name)
    shutil.copy(partial / "procedural.json", part)
    part.rename(folder)
