"""Write procedural hands as an InterHand2.6M tree.

    <root>/images/<split>/Capture<n>/0000_procedural/cam<id>/image<frame>.jpg
    <root>/annotations/<split>/InterHand2.6M_<split>_{data,camera,joint_3d}.json   layout v1.0
    <root>/annotations/all/...                                                     layout older
    <root>/procedural.json                                                         written last

The folder is written under a temporary name and renamed when it is complete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2

from handssl.data.procedural.freihand_images import JPEG_QUALITY
from handssl.data.procedural.interhand_annotations import annotate, file_name
from handssl.data.procedural.interhand_drawing import draw_image
from handssl.data.procedural.interhand_scenes import make_frame, make_views
from handssl.data.procedural.interhand_spec import InterhandTreeSpec
from handssl.data.readers.interhand.layout import RELEASED, Released
from handssl.errors import DataError
from handssl.randomness import numpy_generator
from handssl.runtime.worker_processes import completed

Task = tuple[Released, int, int]
Progress = Callable[[int, int], None]


def write_interhand(
    root: Path, spec: InterhandTreeSpec, *, workers: int = 2, on_progress: Progress | None = None
) -> Path:
    """Write a tree of procedural hands, or keep the existing one.

    Args:
        root: The folder; it must not contain anything else.
        spec: Specification of the tree.
        workers: Number of processes; 1 renders in this one.
        on_progress: Called with (images done, total images).

    Returns:
        The root.

    Raises:
        DataError: The folder contains another tree or something else, or is not writable.
    """
    if root.exists():
        return _reuse(root, spec)
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write_images(partial, spec, workers, on_progress)
        _write_annotations(partial, spec)
        manifest = {"spec": spec.model_dump(mode="json"), "fingerprint": spec.fingerprint}
        (partial / "procedural.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        partial.rename(root)
    except OSError as error:
        raise DataError(f"{root}: cannot be written: {error.strerror or error}") from None
    return root


def _reuse(root: Path, spec: InterhandTreeSpec) -> Path:
    path = root / "procedural.json"
    if not path.is_file():
        raise DataError(f"{root}: expected procedural hands or no folder, found something else")
    found = json.loads(path.read_text(encoding="utf-8")).get("fingerprint")
    if found != spec.fingerprint:
        raise DataError(
            f"{root}: expected procedural hands {spec.fingerprint}, found {found}; "
            "choose another folder or remove this one"
        )
    return root


def _write_annotations(root: Path, spec: InterhandTreeSpec) -> None:
    for released in RELEASED:
        if not spec.captures(released):
            continue
        folder = root / "annotations" / (released if spec.layout == "v1.0" else "all")
        folder.mkdir(parents=True, exist_ok=True)
        for kind, contents in annotate(spec, released).items():
            path = folder / f"InterHand2.6M_{released}_{kind}.json"
            path.write_text(json.dumps(contents), encoding="utf-8")


def _write_images(
    root: Path, spec: InterhandTreeSpec, workers: int, on_progress: Progress | None
) -> None:
    tasks = [
        (released, capture, frame)
        for released in RELEASED
        for capture in range(spec.captures(released))
        for frame in range(spec.frames)
    ]
    each = spec.colour + spec.grey
    frames = completed(_write_frame, tasks, shared=(root, spec), workers=workers)
    with closing(frames):
        for done, _ in enumerate(frames, start=1):
            if on_progress is not None:
                on_progress(done * each, len(tasks) * each)


def _write_frame(
    shared: tuple[Path, InterhandTreeSpec], released: Released, capture: int, frame: int
) -> None:
    root, spec = shared
    world = make_frame(spec, released, capture, frame)
    for view in make_views(spec, released, capture):
        address = (spec.seed, released, capture, frame, view.name)
        image = draw_image(world, view, numpy_generator("interhand image", *address))
        path = root / "images" / released / file_name(capture, view, frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
        path.write_bytes(encoded.tobytes())
