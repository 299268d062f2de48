"""Benchmark of packing and reading data, against the limits of the machine.

The limit of packing: every core decodes, warps once and writes the same bytes with bare library
calls and equally many fsyncs. The limits of reading: a sequential read of the disk, and a memory
copy.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from handssl.bench.disk import forget, pack_bare, read_file, scratch
from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress, Rate, in_turns
from handssl.bench.readers import Noise, Repeated
from handssl.data.crops import CROP_PX
from handssl.data.packing import pack
from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.readers.freihand import FreihandReader
from handssl.data.shards import SHARD_ROWS
from handssl.data.store import PackedSplit, PackedStore

BATCH = 512
REPEATS = 16


@dataclass(frozen=True)
class DataRates:
    """Images per second of every measurement.

    Attributes:
        images: Number of packed images.
        crop_px: Side of the crops in pixels.
        cores: Number of cores used.
        row_bytes: Size of a crop in bytes.
        packing: Rates of `pack` and `limit`.
        reading: Rates of `cold`, `warm` and `warm, buffer used again`; and `disk` and `memory`,
            the limits of the machine in the same unit.
    """

    images: int
    crop_px: int
    cores: int
    row_bytes: int
    packing: dict[str, Rate]
    reading: dict[str, Rate]


def bench_data(
    folder: Path,
    *,
    images: int = 1024,
    crops: int = 16_384,
    rounds: int = 5,
    on_progress: Callable[[str], OnProgress],
) -> DataRates:
    """Measure packing and reading on procedural hands in FreiHAND's layout.

    Args:
        folder: Folder for files, on the disk to measure; temporary files are removed.
        images: Number of rendered images, 224 px like FreiHAND's; each is packed 16 times, so that
            a measurement takes seconds.
        crops: Number of crops to read from; more than the disk reads ahead.
        rounds: Number of measurements of each rate.
        on_progress: Returns a callback of (done, total) for each phase.

    Returns:
        The rates.
    """
    cores = os.cpu_count() or 1
    with scratch(folder) as place:
        spec = ProceduralSpec(pretrain=images, probe=0, select=0, test=0, image_px=224)
        root = write_freihand(
            place / "root", spec, workers=cores, on_progress=on_progress("rendering")
        )
        packing = _packing(root, place, cores, rounds, on_progress("packing"))
        reading = _reading(place, crops, rounds, on_progress)
    return DataRates(images * REPEATS, CROP_PX, cores, 3 * CROP_PX**2, packing, reading)


def _packing(
    root: Path, place: Path, cores: int, rounds: int, on_progress: OnProgress
) -> dict[str, Rate]:
    reader = Repeated(FreihandReader(root), REPEATS)
    files = sorted((root / "training" / "rgb").glob("*.jpg")) * REPEATS

    def packed() -> int:
        return len(pack(reader, place / "store", workers=cores))

    def limit() -> int:
        with (place / "limit").open("wb") as file, ThreadPoolExecutor(cores) as pool:
            first = range(0, len(files), SHARD_ROWS)
            list(pool.map(lambda i: pack_bare(files[i : i + SHARD_ROWS], i, file.fileno()), first))
        return len(files)

    def clear() -> None:
        shutil.rmtree(place / "store", ignore_errors=True)
        (place / "limit").unlink(missing_ok=True)

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # every core processes its own images
    try:
        return in_turns(
            {"limit": limit, "pack": packed}, rounds=rounds, on_progress=on_progress, before=clear
        )
    finally:
        cv2.setNumThreads(threads)


def _reading(
    place: Path, crops: int, rounds: int, on_progress: Callable[[str], OnProgress]
) -> dict[str, Rate]:
    store = pack(Noise(crops), place / "noise", context=1.0, on_progress=on_progress("writing"))
    split, path = store.split("pretrain"), store.folder / "images.npy"
    notify = on_progress("reading")
    cold = in_turns(
        {"disk": lambda: read_file(path), "cold": lambda: _batch(PackedStore(store.folder))},
        rounds=rounds,
        before=lambda: forget(path),
        on_progress=notify,
    )
    return cold | _warm(split, rounds * 4, notify)


def _warm(split: PackedSplit, rounds: int, notify: OnProgress) -> dict[str, Rate]:
    rng = np.random.default_rng(1)
    for start in range(0, len(split), BATCH):
        split.crops(np.arange(start, min(start + BATCH, len(split))))
    buffer = split.buffer(BATCH).fill_(1)
    source = torch.ones_like(buffer)

    def draw() -> np.ndarray:
        return rng.integers(0, len(split), BATCH)

    ways: dict[str, Callable[[], int]] = {
        "memory": lambda: len(buffer.copy_(source)),
        "warm": lambda: len(split.crops(draw())),
        "warm, buffer used again": lambda: len(split.crops(draw(), out=buffer)),
    }
    return in_turns(ways, rounds=rounds, on_progress=notify)


def _batch(store: PackedStore) -> int:
    split = store.split("pretrain")
    return len(split.crops(np.random.default_rng(2).permutation(len(split))[:BATCH]))


def text(rates: DataRates) -> str:
    """Return the results as a Markdown page."""
    pack, limit = rates.packing["pack"], rates.packing["limit"]
    disk, memory = rates.reading["disk"], rates.reading["memory"]
    rows = [
        ("packing", pack, limit, "decode + one warp + write and fsync, all cores"),
        ("batch of 512, cold", rates.reading["cold"], disk, "the disk, end to end"),
        ("batch of 512, warm", rates.reading["warm"], memory, "memory copied"),
        (
            "batch of 512, warm, buffer used again",
            rates.reading["warm, buffer used again"],
            memory,
            "memory copied",
        ),
    ]
    lines = [
        "# Packing and reading",
        "",
        f"Written by `handssl bench data`: {rates.images:,} images of 224 px packed to crops of "
        f"{rates.crop_px} px ({rates.row_bytes:,} bytes each). Medians of rounds taken in turns.",
        "",
        describe(),
        "",
        "| | images/s | GB/s | share | of the limit | limit, images/s |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for name, rate, bound, what in rows:
        lines.append(
            f"| {name} | {rate.per_s:,.0f} | {rate.per_s * rates.row_bytes / 1e9:.2f} "
            f"| {rate.per_s / bound.per_s:.0%} | {what} | {bound.per_s:,.0f} |"
        )
    return "\n".join(lines) + "\n"
