"""How many trials share a GPU: as many as its memory has room for."""

from __future__ import annotations

from collections.abc import Iterable

from handssl.sweep.planning.sizes import weigh
from handssl.sweep.running import Running
from handssl.tracking.nvml import gpu_bytes
from handssl.training.config import PretrainConfig
from handssl.training.execution import Precision
from handssl.training.memory_need import step_bytes

# More than four gain little: then the GPU is busy. The rest is the driver's and the allocator's.
MOST, _USABLE = 4, 0.95


def shared(running: Running, configs: Iterable[PretrainConfig], gpu: int | None = None) -> Running:
    """Return how a sweep runs, with the number of trials on a GPU, of which each is told.

    Args:
        running: What was asked for; a number that was given stays.
        configs: Of its trials.
        gpu: Bytes of the smallest GPU; default: of those that this machine has.

    Returns:
        With `trials_per_gpu` set, to 1 where no memory is known.
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
    """Return how many trials fit on a GPU: at least one, which may say that it does not.

    Args:
        step: Bytes of the largest step, None if not known.
        gpu: Bytes of the GPU, likewise.

    Example:
        >>> [fitting(step, 80_000_000_000) for step in (5_000_000_000, 22_000_000_000, None)]
        [4, 3, 1]
    """
    return max(1, min(MOST, int(_USABLE * gpu / step))) if step and gpu else 1


def largest_step(running: Running, configs: Iterable[PretrainConfig]) -> int | None:
    """Return the bytes of the largest step, None where one is not known, or there is none."""
    auto = running.execution.precision
    precision: Precision = "bf16" if auto == "auto" else auto
    steps = [
        step_bytes(config, weigh(config).draws, precision, workers=running.workers)
        for config in configs
    ]
    known = [step for step in steps if step is not None]
    return max(known, default=None) if len(known) == len(steps) else None


def smallest_gpu() -> int | None:
    """Return the bytes of the smallest GPU of this machine, None without one."""
    return min(gpu_bytes(), default=None)
