"""Benchmark of training with different numbers of workers and the same global batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from handssl.bench.rates import OnProgress, Rate
from handssl.data.splits import StudyData
from handssl.distributed.local_ranks import spawn_ranks
from handssl.training import Execution, PretrainConfig, Pretraining


def bench_scaling(
    data: Path,
    config: PretrainConfig,
    *,
    execution: Execution,
    workers: Sequence[int],
    steps: int,
    rounds: int,
    threads: int,
    on_progress: OnProgress,
) -> dict[int, Rate]:
    """Measure whole steps with several numbers of workers, each a process of this machine.

    Args:
        data: Folder of the packed splits.
        config: Configuration of the run.
        execution: Device and precision; on GPUs each worker has its own.
        workers: Numbers of processes to measure.
        steps: Number of steps of one measurement.
        rounds: Number of measurements for each number of workers.
        threads: Number of torch threads in each worker.
        on_progress: Called with (numbers of workers done, total).

    Returns:
        Views per second of all workers together, by number of workers.
    """
    backend = "nccl" if execution.torch_device().type == "cuda" else "gloo"
    found = {}
    for done, count in enumerate(workers, start=1):
        settings = (data, config, execution, steps, rounds, threads)
        (seconds, *_) = spawn_ranks(_seconds, count, *settings, backend=backend)
        views = steps * seconds.pop()
        rates = [views / one for one in seconds]
        found[count] = Rate(str(count), statistics.median(rates), (min(rates), max(rates)))
        on_progress(done, len(workers))
    return found


def _seconds(
    data: Path,
    config: PretrainConfig,
    execution: Execution,
    steps: int,
    rounds: int,
    threads: int,
) -> list[float]:
    """Return the seconds of each round, then the views of a step."""
    torch.set_num_threads(threads)
    run = Pretraining(config, StudyData(data), execution)
    run.network.train()
    batch = next(run.batches(1))
    found = []
    for _ in range(rounds + 1):
        start_s = time.perf_counter()
        for _ in range(steps):
            run.step(batch, 1)
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        found.append(time.perf_counter() - start_s)
    return [*found[1:], float(run.views_per_step)]


def text(rates: dict[int, Rate]) -> str:
    """Return a Markdown table; efficiency is the rate per worker over that of a single worker."""
    alone = rates[min(rates)].per_s / min(rates)
    lines = ["| workers | views/s | efficiency |", "|---:|---:|---:|"]
    lines += [
        f"| {count} | {rate.per_s:,.0f} | {rate.per_s / (count * alone):.0%} |"
        for count, rate in rates.items()
    ]
    return "\n".join(lines) + "\n"
