"""Number of trials that share a GPU, as many as fit into its memory."""

from __future__ import annotations

from collections.abc import Iterable

from handssl.sweep.planning.sizes import weigh
from handssl.sweep.running import Running
from handssl.tracking.nvml import gpu_bytes
from handssl.training.config import PretrainConfig
from handssl.training.execution import Precision
from handssl.training.memory_need import step_bytes

# More than four gain little, since the GPU is busy. 5 % are left to the driver and the allocator.
MOST, _USABLE = 4, 0.95


def shared(running: Running, configs: Iterable[PretrainConfig], gpu: int | None = None) -> Running:
    """Return execution options with the number of trials per GPU, also set for each trial.

    Args:
        running: Execution options; a given `trials_per_gpu` is kept.
        configs: Configurations of the trials.
        gpu: Memory of the smallest GPU in bytes; default: that of this machine.

    Returns:
        Options with `trials_per_gpu` set; 1 if no memory is known.
    """
    number = running.trials_per_gpu
    if number is None:
        room = smallest_gpu() if gpu is None else gpu
        number = fitting(largest_step(running, configs), room) if room else 1
    # Workers of one trial have a GPU each.
    sharing = number if running.workers == 1 else 1
    execution = running.execution.model_copy(update={"sharing": sharing})
    return running.model_copy(update={"trials_per_gpu": number, "execution": execution})


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


def largest_step(running: Running, configs: Iterable[PretrainConfig]) -> int | None:
    """Return the bytes of the largest step; None if any is unknown, or there is none."""
    auto = running.execution.precision
    precision: Precision = "bf16" if auto == "auto" else auto
    steps = [
        step_bytes(config, weigh(config).draws, precision, workers=running.workers)
        for config in configs
    ]
    known = [step for step in steps if step is not None]
    return max(known, default=None) if len(known) == len(steps) else None


def smallest_gpu() -> int | None:
    """Return the memory in bytes of this machine's smallest GPU; None without a GPU."""
    return min(gpu_bytes(), default=None)
