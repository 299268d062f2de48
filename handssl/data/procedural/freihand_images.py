"""Render procedural hands in processes and write them under FreiHAND's file names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handssl.data.procedural.dataset import ProceduralSpec, make_sample
from handssl.data.sample import Split
from handssl.errors import DataError
from handssl.runtime.worker_processes import completed

Labels = dict[int, dict[str, Any]]

JPEG_QUALITY = 95
_CHUNK = 24


def write_images(
    root: Path,
    spec: ProceduralSpec,
    workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> Labels:
    """Write every image below `<root>/{training,evaluation}/rgb`, which must exist.

    Args:
        root: Root folder.
        spec: Specification of the set.
        workers: Number of processes; 1 renders in this one.
        on_progress: Called with (images done, total images).

    Returns:
        K, xyz and scale of every unique id, including evaluation, as plain lists.

    Raises:
        OSError: An image cannot be written.
    """
    labels: Labels = {}
    done = 0
    # Closed at once if the caller is interrupted, which ends the processes.
    chunks = completed(_write_chunk, _chunks(spec), shared=(root, spec), workers=workers)
    with closing(chunks):
        for written, images in chunks:
            labels |= written
            done += images
            if on_progress is not None:
                on_progress(done, spec.images)
    return labels


def _chunks(spec: ProceduralSpec) -> Iterator[tuple[Split, int, int]]:
    for split in spec.splits:
        for start in range(0, spec.count(split), _CHUNK):
            yield split, start, min(start + _CHUNK, spec.count(split))


def _write_chunk(
    shared: tuple[Path, ProceduralSpec], split: Split, start: int, stop: int
) -> tuple[Labels, int]:
    root, spec = shared
    labels: Labels = {}
    versions = spec.versions_of(split)
    for index in range(start, stop):
        for version in range(versions):
            sample = make_sample(spec, split, index, version)
            # The files of the evaluation set are numbered from 0.
            part, number = ("evaluation", index) if split == "evaluation" else ("training", None)
            name = f"{sample.id if number is None else number:08d}.jpg"
            _write_jpeg(root / part / "rgb" / name, sample.image)
        assert sample.xyz is not None and sample.camera is not None  # noqa: S101
        labels[sample.group] = {
            "K": sample.camera.tolist(),
            "xyz": sample.xyz.tolist(),
            "scale": float(np.linalg.norm(sample.xyz[9] - sample.xyz[10])),
        }
    return labels, (stop - start) * versions


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    if not encoded:
        raise DataError(f"{path}: expected a JPEG, OpenCV made none")
    path.write_bytes(data.tobytes())
