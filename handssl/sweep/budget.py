"""What the checkpoints of a whole sweep may take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from handssl.sweep.scheduler import StageScheduler

_FILES = "checkpoints/epoch-*.ckpt"


class Budget:
    """Removes checkpoints of trials that are over while all together take too much.

    The newest checkpoint of a trial that runs or waits always stays, so the sum may be larger than
    asked for; the weights of finished trials are no checkpoints and stay too. What a trial that
    was stopped has made is lost with its last checkpoint: a study that wants to go on with it
    begins anew, which gives the same numbers.

    Args:
        storage: Root of all results.
        max_bytes: What they may take; None: anything.
        scheduler: Knows who is over.
    """

    def __init__(self, storage: Path, max_bytes: int | None, scheduler: StageScheduler) -> None:
        self._trials, self._max_bytes, self._scheduler = storage / "trials", max_bytes, scheduler

    def keep(self) -> None:
        """Bring the sum below what is allowed, as far as nothing is removed that is needed."""
        if self._max_bytes is None:
            return
        files = [(path, _size(path)) for path in self._trials.glob(f"*/{_FILES}")]
        excess = sum(size for _, size in files) - self._max_bytes
        sizes = dict(files)
        for path in self._removable():
            if excess <= 0:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                excess -= sizes.get(path, 0)

    def _removable(self) -> Iterator[Path]:
        """Yield completed trials' checkpoints, those of others that are over, then older ones."""
        planned = self._scheduler.trials.values()
        over = [trial for trial in planned if self._scheduler.is_over(trial)]
        over.sort(key=lambda trial: self._scheduler.outcomes.get(trial.trial_id) != "completed")
        for trial in over:
            yield from self._newest_last(trial.trial_id)
        for trial in self._scheduler.missing:
            yield from self._newest_last(trial.trial_id)[:-1]

    def _newest_last(self, trial_id: str) -> list[Path]:
        return sorted((self._trials / trial_id).glob(_FILES))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # its trial has just replaced it
