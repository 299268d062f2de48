"""Limit on the disk space of all checkpoints of a sweep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.study.trials import StudyScheduler

_FILES = "checkpoints/epoch-*.ckpt"


class Budget:
    """Removes checkpoints of finished trials while all checkpoints together exceed the limit.

    The newest checkpoint of a trial that runs or waits, in this study or another, is always kept,
    so the sum may exceed the limit; the weights of finished trials are not checkpoints and are kept
    too. A stopped trial can't be resumed without its last checkpoint: a study that continues it
    later starts it from epoch 0, which gives the same numbers.

    Args:
        storage: Root of all results.
        max_bytes: Limit for all checkpoints together in bytes; None: no limit.
        scheduler: Knows which trials are over.
        ledger: Knows which of them another study is running.
    """

    def __init__(
        self, storage: Path, max_bytes: int | None, scheduler: StudyScheduler, ledger: Ledger
    ) -> None:
        self._trials, self._max_bytes = storage / "trials", max_bytes
        self._scheduler, self._ledger = scheduler, ledger

    def keep(self) -> None:
        """Bring the sum below the limit as far as possible; needed checkpoints are kept.

        Raises:
            TakenOverError: Another driver runs the study now and manages its checkpoints.
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
        """Yield checkpoints of completed trials, of others that are over, then older ones."""
        over = self._over()
        for trial_id in over:
            yield from self._newest_last(trial_id)
        for trial_id in self._scheduler.trials:
            if trial_id not in over:
                yield from self._newest_last(trial_id)[:-1]

    def _over(self) -> dict[str, TrialRecord]:
        """Return the finished trials that no driver has claimed, the completed ones first."""
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
