"""Extend a run under `wsd`: continue from the constant phase of a shorter run.

Before its rate decays, a run with the schedule `wsd` does not depend on its length: its checkpoints
equal those of every longer run. So the last checkpoint of that phase is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from handssl.errors import DataError
from handssl.optim.schedules import DECAY_SHARE, wsd_decay_start
from handssl.runtime.fencing import Fence
from handssl.training.checkpoints import RunState
from handssl.training.checkpoints.reading import read
from handssl.training.checkpoints.writing import write_whole
from handssl.training.config import PretrainConfig, same_content

CONSTANT = "constant.ckpt"
StepsUntil = Callable[[int], int]


def constant_steps(config: PretrainConfig, steps_until: StepsUntil, warmup_steps: int) -> int:
    """Return the number of updates before the rate decays, 0 if there is no constant phase.

    Args:
        config: Configuration of the run.
        steps_until: Function that returns the number of updates of the first n epochs.
        warmup_steps: Number of updates of the warm-up.
    """
    chosen = config.optimizer
    if chosen.schedule != "wsd":
        return 0
    return wsd_decay_start(
        warmup_steps=warmup_steps,
        total_steps=steps_until(config.epochs),
        decay_share=chosen.decay_share or DECAY_SHARE,
    )


def is_shorter(one: dict[str, object], other: dict[str, object]) -> bool:
    """Return whether two resolved configurations differ only in epochs and the first has fewer.

    Example:
        >>> is_shorter({"epochs": 10, "seed": 1}, {"epochs": 20, "seed": 1})
        True
    """
    without = [
        {name: value for name, value in same_content(config).items() if name != "epochs"}
        for config in (one, other)
    ]
    return without[0] == without[1] and int(str(one["epochs"])) < int(str(other["epochs"]))


def keep_constant(folder: Path, checkpoint: Path, *, fence: Fence | None = None) -> None:
    """Keep a copy of a checkpoint of the constant phase, which is not pruned.

    Args:
        folder: Folder of the trial.
        checkpoint: Checkpoint just written; if it is missing, nothing is kept.
        fence: Fence around the folder.
    """
    try:
        content = checkpoint.read_bytes()
    except FileNotFoundError:
        return

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_whole(folder / CONSTANT, write, size_bytes=len(content), fence=fence)


def branch_state(
    warm_start: Path,
    config: PretrainConfig,
    fingerprint: str,
    is_constant: Callable[[PretrainConfig, int], bool],
) -> RunState | None:
    """Return the last state of a shorter run that is also a state of this run.

    Args:
        warm_start: Folder of the shorter run.
        config: Configuration of this run.
        fingerprint: Fingerprint of this run's data.
        is_constant: Function of a configuration and a number of updates that returns whether these
            end before the rate decays.

    Returns:
        The state; None if there is none, or none is intact.
    """
    files = sorted((warm_start / "checkpoints").glob("epoch-*.ckpt"), reverse=True)
    mine = config.model_dump(mode="json")
    for path in [*files, warm_start / CONSTANT]:
        if not path.exists():
            continue
        try:
            state = RunState.from_dict(read(path))
        except DataError as error:
            logging.getLogger("handssl").warning("%s; looking for another", error)
            continue
        if state.fingerprint == fingerprint and is_shorter(state.configuration, mine):
            theirs = PretrainConfig.parse(state.configuration)
            if is_constant(theirs, int(state.training["schedule"]["last_epoch"])):
                return state
    return None
