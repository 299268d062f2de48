"""Benchmark of making views on the host, against other libraries and bare OpenCV calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import cv2
import numpy as np
import torch

from handssl.bench.augment_ways import Way, albumentations_way, floor_way, torchvision_way
from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress, Rate, in_turns
from handssl.data.procedural.dataset import ProceduralSpec, make_sample
from handssl.transforms import (
    PAPER_SEVEN,
    TRANSFORMATIONS,
    AugmentConfig,
    Backend,
    composition_name,
    make_views,
)

CROP_PX = 192
VIEW_PX = 128
_BACKENDS: tuple[Backend, ...] = ("tensor", "opencv")
COMPOSITIONS: tuple[tuple[str, ...], ...] = (
    TRANSFORMATIONS,
    PAPER_SEVEN,
    ("color_jitter", "rotate", "translate"),
)


@dataclass(frozen=True)
class AugmentRates:
    """Views per second of every implementation.

    Attributes:
        images: Number of images in a batch.
        cores: Number of cores of the machine.
        one_thread: Rates with one thread, by composition and implementation.
        all_cores: Rates with all cores, for implementations that use threads themselves.
    """

    images: int
    cores: int
    one_thread: dict[str, dict[str, Rate]]
    all_cores: dict[str, dict[str, Rate]]


def bench_augment(
    *,
    images: int = 256,
    rounds: int = 7,
    compositions: Sequence[Sequence[str]] = COMPOSITIONS,
    on_progress: Callable[[str], OnProgress] | None = None,
) -> AugmentRates:
    """Measure views of 128 px from crops of 192 px, all implementations in turns.

    Args:
        images: Number of images in a batch.
        rounds: Number of measurements of each implementation.
        compositions: Compositions to measure.
        on_progress: Returns a progress callback for each phase.

    Returns:
        Rates with one thread and with all cores.
    """
    crops = sample_crops(images)
    found: dict[int, dict[str, dict[str, Rate]]] = {}
    cores = len(os.sched_getaffinity(0))
    for threads in (1, cores):
        found[threads] = {}
        for composition in compositions:
            ways = _ways(crops, tuple(sorted(composition)), everything=threads == 1)
            name = composition_name(composition)
            report = on_progress(f"{threads} threads, {name}") if on_progress else None
            with _threads(threads):
                found[threads][name] = in_turns(_warm(ways), rounds=rounds, on_progress=report)
    return AugmentRates(images, cores, one_thread=found[1], all_cores=found[cores])


def sample_crops(count: int, *, crop_px: int = CROP_PX) -> list[np.ndarray]:
    """Return procedural hands, each uint8 (crop_px, crop_px, 3)."""
    spec = ProceduralSpec(image_px=crop_px, pretrain=count)
    return [make_sample(spec, "pretrain", index).image for index in range(count)]


def _ways(
    crops: list[np.ndarray], composition: tuple[str, ...], *, everything: bool
) -> dict[str, Way]:
    """Return the implementations by name; single-threaded ones only if `everything`."""
    context = CROP_PX / VIEW_PX
    planes = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())
    ids = torch.arange(len(crops))
    makers = {
        backend: make_views(
            AugmentConfig(), composition, seed=1, view_px=VIEW_PX, context=context, backend=backend
        )
        for backend in _BACKENDS
    }

    def ours(backend: Backend) -> Way:
        return lambda: len(makers[backend](planes, ids, epoch=1, view=0).images)

    ways: dict[str, Way] = {backend: ours(backend) for backend in _BACKENDS}
    if not everything:
        return ways
    view = makers["opencv"](planes, ids, epoch=1, view=0)
    return {
        **ways,
        "albumentations": albumentations_way(crops, composition, VIEW_PX),
        "torchvision": torchvision_way(crops, composition, VIEW_PX),
        "floor": floor_way(crops, view, view_px=VIEW_PX, context=context),
    }


def _warm(ways: Mapping[str, Way]) -> Mapping[str, Way]:
    """Run each once: tables and memory are allocated before the measurement."""
    for way in ways.values():
        way()
    return ways


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Set the number of threads of torch and OpenCV."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def text(rates: AugmentRates) -> str:
    """Return the results as a Markdown page."""
    lines = [
        "# Making views on the host",
        "",
        f"Views of {VIEW_PX} px from crops of {CROP_PX} px, procedural hands, batches of "
        f"{rates.images}. Medians of rounds taken in turns; ratios are of one run. `floor`: the "
        "bare OpenCV calls for the same changes, everything prepared in advance. albumentations: "
        f"one Affine, uint8 until Normalize; {rates.cores} cores can at most multiply what one "
        "does.",
        "",
        f"{describe()}; OpenCV {cv2.__version__}, albumentations {version('albumentations')}, "
        f"torchvision {version('torchvision')}",
    ]
    for name, ways in rates.one_thread.items():
        lines += ["", f"## {name}", "", *_table(ways, rates.all_cores[name])]
    return "\n".join(lines) + "\n"


def _table(one: Mapping[str, Rate], all_cores: Mapping[str, Rate]) -> list[str]:
    others = ("albumentations", "torchvision", "floor")
    rows = [
        "| | images/s, one thread | least to largest | all cores | opencv is times this |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in (*_BACKENDS, *others):
        rate, many = one[name], all_cores.get(name)
        ratio = one["opencv"].per_s / rate.per_s
        rows.append(
            f"| {name} | {rate.per_s:,.0f} | {rate.spread[0]:,.0f} to {rate.spread[1]:,.0f} "
            f"| {f'{many.per_s:,.0f}' if many else ''} | {ratio:.2f} |"
        )
    return rows
