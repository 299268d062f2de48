"""Benchmark of training, against the same network on views that were made in advance."""

from __future__ import annotations

import csv
import io
import math
import resource
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from handssl.bench.disk import scratch
from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress, Rate, in_turns
from handssl.bench.scaling import bench_scaling
from handssl.bench.scaling import text as scaling_text
from handssl.data.config import ProceduralData
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData
from handssl.objectives import PoseTarget
from handssl.training import Execution, PretrainConfig, Pretraining
from handssl.transforms import PAPER_SEVEN, TRANSFORMATIONS, View, composition_name

_LEAST = 16  # number of images of a split that is not used
COMPOSITIONS: tuple[tuple[str, ...], ...] = (
    ("color_jitter", "rotate", "translate"),
    PAPER_SEVEN,
    TRANSFORMATIONS,
)


@dataclass(frozen=True)
class TrainRates:
    """Views per second of every measurement.

    Attributes:
        config: Configuration of the run, except for its composition.
        device: Device of the run.
        threads: Number of threads on the host.
        steps: Number of steps of one measurement.
        ways: Rates by composition and part (step, limit, views, network, update).
        peak_bytes: Peak memory of the process on the host, or peak allocation on the GPU.
        scaling: Rate by number of workers, for the first composition.
    """

    config: dict[str, Any]
    device: str
    threads: int
    steps: int
    ways: dict[str, dict[str, Rate]]
    peak_bytes: int
    scaling: dict[int, Rate]


def bench_train(
    folder: Path,
    config: PretrainConfig,
    *,
    execution: Execution,
    compositions: Sequence[tuple[str, ...]] = COMPOSITIONS,
    steps: int = 8,
    rounds: int = 5,
    threads: int = 1,
    workers: Sequence[int] = (),
    on_progress: Callable[[str], OnProgress],
) -> TrainRates:
    """Measure steps of a run on procedural hands.

    The limit is the same network, objective and optimizer on views made in advance: no crops are
    read, no views are made, nothing is logged.

    Args:
        folder: Folder for temporary data, which is removed.
        config: Configuration of the run; its composition is replaced.
        execution: Device and precision.
        compositions: Compositions to measure.
        steps: Number of steps of one measurement.
        rounds: Number of measurements of each rate.
        threads: Number of torch threads on the host.
        workers: Numbers of processes to measure with the first composition.
        on_progress: Returns a callback of (done, total) for each phase.

    Returns:
        The rates.
    """
    device = execution.torch_device()
    ways: dict[str, dict[str, Rate]] = {}
    with scratch(folder) as place, _threads(threads):
        data = _data(place, config, on_progress("rendering"))
        for composition in compositions:
            name = composition_name(composition)
            run = Pretraining(_arm(config, composition), StudyData(data), execution)
            ways[name] = in_turns(
                _ways(run, steps), rounds=rounds, on_progress=on_progress(f"training {name}")
            )
        peak_bytes = _peak(device)
        scaling = bench_scaling(
            data,
            _arm(config, compositions[0]),
            execution=execution,
            workers=workers,
            steps=steps,
            rounds=rounds,
            threads=threads,
            on_progress=on_progress("scaling") if workers else _quietly,
        )
    settings = config.model_dump(mode="json")
    return TrainRates(settings, str(device), threads, steps, ways, peak_bytes, scaling)


def _quietly(done: int, total: int) -> None:
    pass


def _arm(config: PretrainConfig, composition: Sequence[str]) -> PretrainConfig:
    values = {**config.model_dump(mode="json"), "composition": list(composition)}
    return PretrainConfig.parse(values)


def _data(place: Path, config: PretrainConfig, notify: OnProgress) -> Path:
    context = 2.15  # all nine transformations stay within it
    side = math.ceil(config.encoder.input_px * context)
    described = ProceduralData(
        pretrain=max(256, config.global_batch),
        **dict.fromkeys(("probe", "select", "test"), _LEAST),
        image_px=max(64, side),
        crop_px=side,
        context=context,
    )
    return prepare(described, place, lambda _, done, total: notify(done, total))


def _ways(run: Pretraining, steps: int) -> Mapping[str, Callable[[], int]]:
    """Return functions for whole steps, the limit, and the parts of a step, after a warm-up."""
    bench = _Steps(run, steps)
    ways = {
        "step": bench.step,
        "limit": bench.limit,
        "views": bench.views,
        "network": bench.network,
        "update": bench.update,
    }
    for way in ways.values():
        way()
    return ways


class _Steps:
    """Repeats the same batch."""

    def __init__(self, run: Pretraining, steps: int) -> None:
        self._run, self._steps = run, steps
        self._batch = next(iter(run.batches(1)))
        self._ready: tuple[list[View], PoseTarget | None] = run.feed(self._batch, 1)
        run.network.train()

    def step(self) -> int:
        """Make whole steps."""
        return self._repeat(lambda: self._run.step(self._batch, 1))

    def limit(self) -> int:
        """Make steps on existing views."""

        def one() -> None:
            self._run.optimizer.zero_grad(set_to_none=True)
            self._backward()
            self._run.optimizer.step()

        return self._repeat(one)

    def views(self) -> int:
        """Only make views."""
        return self._repeat(lambda: self._run.feed(self._batch, 1))

    def network(self) -> int:
        """Only run the forward and backward pass."""
        return self._repeat(self._backward)

    def update(self) -> int:
        """Only update the weights."""
        self._backward()
        return self._repeat(self._run.optimizer.step)

    def _backward(self) -> None:
        losses = self._run.network(*self._ready)
        losses.total.backward()

    def _repeat(self, way: Callable[[], Any]) -> int:
        for _ in range(self._steps):
            way()
        if self._run.device.type == "cuda":
            torch.cuda.synchronize(self._run.device)
        return self._steps * self._run.views_per_step


@contextmanager
def _threads(count: int) -> Any:
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def text(rates: TrainRates) -> str:
    """Return the results as a Markdown page."""
    encoder = rates.config["encoder"]
    lines = [
        "# Training steps",
        "",
        f"Objective {rates.config['objective']}, ResNet-18 of width {encoder['width']}, views of "
        f"{encoder['input_px']} px, global batch {rates.config['global_batch']}, "
        f"{rates.config['optimizer']['name']}; {rates.device}, {rates.threads} thread"
        f"{'s' if rates.threads > 1 else ''}. *Limit*: the same network, objective and optimizer "
        "on views made beforehand. Medians of rounds taken in turns; ratios are of one run. "
        f"Peak memory {rates.peak_bytes / 1e9:.1f} GB.",
        "",
        describe(),
        "",
        "| composition | views/s | limit | share | views alone | network alone | update alone |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, ways in rates.ways.items():
        share = ways["step"].per_s / ways["limit"].per_s
        parts = " | ".join(f"{ways[way].per_s:,.0f}" for way in ("views", "network", "update"))
        lines.append(
            f"| {name} | {ways['step'].per_s:,.0f} | {ways['limit'].per_s:,.0f} | {share:.0%} "
            f"| {parts} |"
        )
    if rates.scaling:
        lines += ["", "Workers, each a process; the global batch is the same:", ""]
        lines.append(scaling_text(rates.scaling).rstrip())
    return "\n".join(lines) + "\n"


def csv_text(rates: TrainRates) -> str:
    """Return every rate as a CSV row, for external tables and plots."""
    rows = [
        (composition, way, 1, rate)
        for composition, ways in rates.ways.items()
        for way, rate in ways.items()
    ]
    first = next(iter(rates.ways))
    rows += [(first, "step", count, rate) for count, rate in rates.scaling.items()]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("composition", "way", "workers", "views_per_s", "least", "largest", "on"))
    for composition, way, count, rate in rows:
        least, largest = rate.spread
        writer.writerow((composition, way, count, rate.per_s, least, largest, describe()))
    return out.getvalue()
