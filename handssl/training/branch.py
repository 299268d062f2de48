"""More epochs under `wsd`: going on from a shorter run whose learning rate had yet to fall.

Until the rate falls, a run of the schedule `wsd` does not depend on how long it will be: its
checkpoints are those of every longer run. So the last of that phase is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from handssl.errors import DataError
from handssl.fencing import Fence
from handssl.optim.schedules import DECAY_SHARE, wsd_decay_start
from handssl.training.checkpoints import RunState
from handssl.training.checkpoints.reading import read
from handssl.training.checkpoints.writing import write_whole
from handssl.training.config import PretrainConfig

CONSTANT = "constant.ckpt"
StepsUntil = Callable[[int], int]


def constant_steps(config: PretrainConfig, steps_until: StepsUntil, warmup_steps: int) -> int:
    """Return the updates before the rate falls, 0 where it falls from the start.

    Args:
        config: The run.
        steps_until: Updates of so many epochs.
        warmup_steps: Updates of the warm-up.
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
    """Say whether one resolved configuration is another with fewer epochs, and nothing else.

    Example:
        >>> is_shorter({"epochs": 10, "seed": 1}, {"epochs": 20, "seed": 1})
        True
    """
    without = [{k: v for k, v in config.items() if k != "epochs"} for config in (one, other)]
    return without[0] == without[1] and int(str(one["epochs"])) < int(str(other["epochs"]))


def keep_constant(folder: Path, checkpoint: Path, *, fence: Fence | None = None) -> None:
    """Keep a checkpoint of the constant phase when the folder of checkpoints moves on.

    Args:
        folder: Of the trial.
        checkpoint: Just written; without it there is nothing to keep.
        fence: Around the folder.
    """
    try:
        content = checkpoint.read_bytes()
    except FileNotFoundError:
        return

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_whole(folder / CONSTANT, write, size_bytes=len(content), fence=fence)


def branch_state(
    origin: Path,
    config: PretrainConfig,
    fingerprint: str,
    is_constant: Callable[[PretrainConfig, int], bool],
) -> RunState | None:
    """Return the last state of a shorter run that is a state of this one too.

    Args:
        origin: Folder of the shorter run.
        config: This one's.
        fingerprint: Of this one's data.
        is_constant: Says of a configuration and a number of updates whether they lie before the
            rate falls.

    Returns:
        The state; None if there is none, or none is intact.
    """
    files = sorted((origin / "checkpoints").glob("epoch-*.ckpt"), reverse=True)
    mine = config.model_dump(mode="json")
    for path in [*files, origin / CONSTANT]:
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
