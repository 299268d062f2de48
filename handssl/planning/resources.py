"""Resources of trials: the devices of a cluster divided among them, and trials that share a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.trial_size import trial_size
from handssl.runtime.nvml import gpu_bytes
from handssl.training.config import PretrainConfig
from handssl.training.execution import Precision
from handssl.training.memory_need import step_bytes

# More than four gain little, since the GPU is busy. 5 % are left to the driver and the allocator.
MOST, _USABLE = 4, 0.95


@dataclass(frozen=True)
class Cluster:
    """Resources that a sweep may use.

    Attributes:
        slots: Number of trials that run at once.
        cpus: CPUs of each trial.
        gpus: GPUs of each trial, or the fraction of one.
        owned: Whether this process started Ray, and therefore stops it.
        workers: Ray Train workers of each trial; with more than one, `cpus` and `gpus` are those
            of a worker.
    """

    slots: int
    cpus: int
    gpus: float
    owned: bool
    workers: int = 1


def available_cpus() -> int:
    """Return the number of CPUs this process may use; a container can limit it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def divided(cpus: int, gpus: int, options: ExecutionOptions, *, owned: bool = True) -> Cluster:
    """Divide a cluster among trials.

    Args:
        cpus: CPUs of the cluster.
        gpus: GPUs of the cluster; all are used.
        options: Execution options; without `trials_per_gpu` each trial has a whole GPU.
        owned: Whether this process started the cluster.

    Example:
        >>> divided(16, 2, ExecutionOptions(trials_per_gpu=4))
        Cluster(slots=8, cpus=2, gpus=0.25, owned=True, workers=1)
        >>> divided(16, 8, ExecutionOptions(workers=4))
        Cluster(slots=2, cpus=2, gpus=1.0, owned=True, workers=4)
    """
    most = options.max_concurrent_trials or cpus
    if options.workers > 1:
        slots = max(1, min(most, (gpus or cpus) // options.workers))
        each = cpus // (slots * options.workers) if gpus else 1
        return Cluster(slots, max(1, each), float(gpus > 0), owned, options.workers)
    on_each = options.trials_per_gpu or 1
    slots = max(1, min(most, cpus, gpus * on_each or cpus))
    share = 1 / on_each if gpus else 0.0
    return Cluster(slots, cpus // slots if gpus else 1, share, owned)


def shared(
    options: ExecutionOptions, configs: Iterable[PretrainConfig], gpu: int | None = None
) -> ExecutionOptions:
    """Return execution options with the number of trials per GPU, also set for each trial.

    Args:
        options: Execution options; a given `trials_per_gpu` is kept.
        configs: Configurations of the trials.
        gpu: Memory of the smallest GPU in bytes; default: that of this machine.

    Returns:
        Options with `trials_per_gpu` set; 1 if no memory is known.
    """
    number = options.trials_per_gpu
    if number is None:
        room = smallest_gpu() if gpu is None else gpu
        number = fitting(largest_step(options, configs), room) if room else 1
    # Workers of one trial have a GPU each.
    sharing = number if options.workers == 1 else 1
    execution = options.execution.model_copy(update={"sharing": sharing})
    return options.model_copy(update={"trials_per_gpu": number, "execution": execution})


def fitting(step: int | None, gpu: int | None) -> int:
    """Return how many trials fit on a GPU, at least one even if it may not fit.

    Args:
        step: Memory of the largest step in bytes; None if not known.
        gpu: Memory of the GPU in bytes; None if not known.

    Example:
        >>> [fitting(step, 80_000_000_000) for step in (5_000_000_000, 22_000_000_000, None)]
        [4, 3, 1]
    """
    return max(1, min(MOST, int(_USABLE * gpu / step))) if step and gpu else 1


def largest_step(options: ExecutionOptions, configs: Iterable[PretrainConfig]) -> int | None:
    """Return the bytes of the largest step; None if any is unknown, or there is none."""
    auto = options.execution.precision
    precision: Precision = "bf16" if auto == "auto" else auto
    steps = [
        step_bytes(config, trial_size(config).draws, precision, workers=options.workers)
        for config in configs
    ]
    known = [step for step in steps if step is not None]
    return max(known, default=None) if len(known) == len(steps) else None


def smallest_gpu() -> int | None:
    """Return the memory in bytes of this machine's smallest GPU; None without a GPU."""
    return min(gpu_bytes(), default=None)
