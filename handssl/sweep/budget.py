"""What the checkpoints of a whole sweep may take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from handssl.sweep.scheduler import StageScheduler
from handssl.tracking.ledger import Ledger
from handssl.tracking.record import TrialRecord

_FILES = "checkpoints/epoch-*.ckpt"


class Budget:
    """Removes checkpoints of trials that are over while all together take too much.

    The newest checkpoint of a trial that runs or waits always stays, in this study or another, so
    the sum may be larger than asked for; the weights of finished trials are no checkpoints and stay
    too. What a trial that was stopped has made is lost with its last checkpoint: a study that wants
    to go on with it later begins anew, which gives the same numbers.

    Args:
        storage: Root of all results.
        max_bytes: What they may take; None: anything.
        scheduler: Knows who is over.
        ledger: Knows which of them another study goes on with.
    """

    def __init__(
        self, storage: Path, max_bytes: int | None, scheduler: StageScheduler, ledger: Ledger
    ) -> None:
        self._trials, self._max_bytes = storage / "trials", max_bytes
        self._scheduler, self._ledger = scheduler, ledger

    def keep(self) -> None:
        """Bring the sum below what is allowed, as far as nothing is removed that is needed.

        Raises:
            TakenOverError: Another driver runs the study now, and keeps its checkpoints itself.
        """
        if self._max_bytes is None:
            return
        self._ledger.claims.require_now()
        files = [(path, _size(path)) for path in self._trials.glob(f"*/{_FILES}")]
        excess = sum(size for _, size in files) - self._max_bytes
        sizes = dict(files)
        for path in self._removable() if excess > 0 else ():
            if excess <= 0:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                excess -= sizes.get(path, 0)

    def _removable(self) -> Iterator[Path]:
        """Yield completed trials' checkpoints, those of others that are over, then older ones."""
        over = self._over()
        for trial_id in over:
            yield from self._newest_last(trial_id)
        for trial_id in self._scheduler.trials:
            if trial_id not in over:
                yield from self._newest_last(trial_id)[:-1]

    def _over(self) -> dict[str, TrialRecord]:
        """Return the trials that nobody goes on with, the completed ones first."""
        planned = self._scheduler.trials.values()
        over = [trial.trial_id for trial in planned if self._scheduler.is_over(trial)]
        held = self._ledger.claims.holders()
        free = [r for r in self._ledger.load_all(over) if r.trial_id not in held]
        free.sort(key=lambda record: record.outcome != "completed")
        return {record.trial_id: record for record in free if record.outcome != "running"}

    def _newest_last(self, trial_id: str) -> list[Path]:
        return sorted((self._trials / trial_id).glob(_FILES))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # its trial has just replaced it
