"""Learning-rate scaling, and schedules as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

ScheduleName = Literal["cosine", "wsd"]
DECAY_SHARE = 0.1


def peak_lr(lr_base: float, global_batch: int) -> float:
    """Return the learning rate after warm-up: lr_base x sqrt(global batch), Sec. 4.1.

    Example:
        >>> peak_lr(1e-4, 256)
        0.0016
    """
    return lr_base * math.sqrt(global_batch)


def cosine_factor(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """Return the share of the peak rate at a step: linear warm-up, then a half cosine to 0.

    Args:
        step: Number of completed updates, from 0.
        warmup_steps: Number of updates until the peak.
        total_steps: Number of updates of the whole run.

    Returns:
        Factor in [0, 1]; positive for the first and the last update.

    Example:
        >>> [cosine_factor(s, warmup_steps=2, total_steps=4) for s in range(4)]
        [0.5, 1.0, 1.0, 0.5]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def wsd_factor(
    step: int, *, warmup_steps: int, total_steps: int, decay_share: float = DECAY_SHARE
) -> float:
    """Return the share of the peak rate at a step: linear warm-up, constant, 1 - sqrt to 0.

    Runs of different lengths agree until `wsd_decay_start` of the shorter one, so a longer run can
    continue from there. The rate decays as 1 - sqrt(progress): it drops quickly at first and stays
    longer at small rates, which reached a lower loss than linear decay in the reference.

    Args:
        step: Number of completed updates, from 0.
        warmup_steps: Number of updates until the peak.
        total_steps: Number of updates of the whole run.
        decay_share: Share of the run, at its end, with a decaying rate; in (0, 1].

    Returns:
        Factor in [0, 1]; positive for the first and the last update.

    Example:
        >>> [round(wsd_factor(s, warmup_steps=2, total_steps=8, decay_share=0.5), 2)
        ...  for s in range(8)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.29, 0.13]

    Reference:
        A. Haegele et al., "Scaling laws and compute-optimal training beyond fixed training
        durations", NeurIPS 2024.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    start = wsd_decay_start(
        warmup_steps=warmup_steps, total_steps=total_steps, decay_share=decay_share
    )
    progress = max(0, step - start) / max(1, total_steps - start)
    return 1.0 - math.sqrt(min(1.0, progress))


def wsd_decay_start(
    *, warmup_steps: int, total_steps: int, decay_share: float = DECAY_SHARE
) -> int:
    """Return the number of updates before the decay of `wsd`: the last state that can be extended.

    Args:
        warmup_steps: Number of updates until the peak.
        total_steps: Number of updates of the whole run.
        decay_share: Share of the run with a decaying rate; in (0, 1].

    Returns:
        Number of updates, at least `warmup_steps`.

    Example:
        >>> wsd_decay_start(warmup_steps=10, total_steps=100)
        90
    """
    return max(warmup_steps, total_steps - max(1, round(decay_share * total_steps)))


def lr_factor(
    schedule: ScheduleName,
    *,
    warmup_steps: int,
    total_steps: int,
    decay_share: float | None = None,
) -> Callable[[int], float]:
    """Return the schedule with a name as a function of the step.

    Args:
        schedule: `cosine` or `wsd`.
        warmup_steps: Number of updates until the peak.
        total_steps: Number of updates of the whole run.
        decay_share: `wsd`: see `wsd_factor`; None selects its default.

    Returns:
        A function from the number of completed updates to the share of the peak rate.
    """
    if schedule == "cosine":
        return partial(cosine_factor, warmup_steps=warmup_steps, total_steps=total_steps)
    share = DECAY_SHARE if decay_share is None else decay_share
    return partial(
        wsd_factor, warmup_steps=warmup_steps, total_steps=total_steps, decay_share=share
    )
