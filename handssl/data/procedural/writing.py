"""Write procedural hands in FreiHAND's layout.

    <root>/training/rgb/%08d.jpg     image id = unique id + unique hands x version
    <root>/training_K.json           one list an unique id: camera matrix
    <root>/training_xyz.json         21 x 3, metres
    <root>/training_scale.json       length of the bone 9-10, metres
    <root>/procedural.json           what the official layout has no place for; written last

The folder is written beside its place and renamed when complete: what has the final name is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handssl.config import Config
from handssl.data.procedural.dataset import GENERATOR_VERSION, ProceduralSpec, make_sample
from handssl.data.procedural.subjects import subject_numbers
from handssl.data.sample import SPLITS, Split
from handssl.errors import DataError

JPEG_QUALITY = 95
_CHUNK = 24


class ProceduralManifest(Config):
    """The contents of `procedural.json`.

    Attributes:
        spec: What determines the set.
        fingerprint: Of the spec and the generator.
        unique_ids: First unique id of each split and the one after its last.
        subjects: Likewise for subjects.
    """

    format_version: int = 1
    generator_version: int = GENERATOR_VERSION
    spec: ProceduralSpec
    fingerprint: str
    unique_ids: dict[Split, tuple[int, int]]
    subjects: dict[Split, tuple[int, int]]

    @classmethod
    def of(cls, spec: ProceduralSpec) -> ProceduralManifest:
        """Return the manifest of a spec."""
        ids = {split: spec.unique_ids(split) for split in SPLITS}
        people = {split: subject_numbers(split) for split in SPLITS}
        return cls(
            spec=spec,
            fingerprint=spec.fingerprint,
            unique_ids={split: (r.start, r.stop) for split, r in ids.items()},
            subjects={split: (r.start, r.stop) for split, r in people.items()},
        )


def write_freihand(
    root: Path,
    spec: ProceduralSpec,
    *,
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a set of procedural hands, or keep the one that is already there.

    Args:
        root: The folder; it must not hold anything else.
        spec: What to write.
        workers: Processes.
        on_progress: Called with (images done, images in all).

    Returns:
        The root.

    Raises:
        DataError: The folder holds another set or something else, or cannot be written.
    """
    if root.exists():
        return _reuse(root, spec)
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / "training" / "rgb").mkdir(parents=True)
        _write_labels(partial, _write_images(partial, spec, workers, on_progress))
        manifest = ProceduralManifest.of(spec).model_dump_json(indent=2)
        (partial / "procedural.json").write_text(manifest, encoding="utf-8")
        partial.rename(root)
    except OSError as error:
        raise DataError(f"{root}: cannot be written: {error.strerror or error}") from None
    except BrokenProcessPool:
        raise DataError(
            f"{root}: the processes that render ended before their work was done; a script must "
            "call this below `if __name__ == '__main__':`, else memory may have run out"
        ) from None
    return root


def _reuse(root: Path, spec: ProceduralSpec) -> Path:
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


def _write_images(
    root: Path,
    spec: ProceduralSpec,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> dict[int, dict[str, Any]]:
    """Render in processes; return the labels of every unique id."""
    labels: dict[int, dict[str, Any]] = {}
    chunks = list(_chunks(spec))
    done, total = 0, spec.unique * spec.versions
    # Spawned, not forked: the caller may hold threads and locks of other libraries.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_prepare_worker)
    try:
        futures = [pool.submit(_write_chunk, root, spec, *chunk) for chunk in chunks]
        for future in as_completed(futures):
            written = future.result()
            labels |= written
            done += len(written) * spec.versions
            if on_progress is not None:
                on_progress(done, total)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return labels


def _chunks(spec: ProceduralSpec) -> Iterator[tuple[Split, int, int]]:
    for split in SPLITS:
        for start in range(0, spec.count(split), _CHUNK):
            yield split, start, min(start + _CHUNK, spec.count(split))


def _prepare_worker() -> None:
    # Ctrl-C reaches the whole process group; the parent alone decides, workers end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Leave when the parent is gone: a killed one cannot tell, and the pool would wait for work."""
    parent = parent_process()
    assert parent is not None  # noqa: S101  a worker has one
    wait([parent.sentinel])
    os._exit(1)


def _write_chunk(
    root: Path, spec: ProceduralSpec, split: Split, start: int, stop: int
) -> dict[int, dict[str, Any]]:
    labels = {}
    for index in range(start, stop):
        for version in range(spec.versions):
            sample = make_sample(spec, split, index, version)
            _write_jpeg(root / "training" / "rgb" / f"{sample.id:08d}.jpg", sample.image)
        assert sample.xyz is not None and sample.camera is not None  # noqa: S101
        labels[sample.group] = {
            "K": sample.camera.tolist(),
            "xyz": sample.xyz.tolist(),
            "scale": float(np.linalg.norm(sample.xyz[9] - sample.xyz[10])),
        }
    return labels


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    path.write_bytes(encoded.tobytes())


def _write_labels(root: Path, labels: dict[int, dict[str, Any]]) -> None:
    for name in ("K", "xyz", "scale"):
        values = [labels[unique][name] for unique in sorted(labels)]
        (root / f"training_{name}.json").write_text(json.dumps(values), encoding="utf-8")
