"""Coordination of a running stage with other drivers and with users' requests."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.execution.recorder import Recorder
from handssl.execution.trial_claims import TrialClaims
from handssl.ledger import Ledger
from handssl.study.events import Ended, OnEvent
from handssl.study.trials import PlannedTrial, StudyScheduler

LOOK_S = 1.0


class PeerCoordinator:
    """Reads other drivers' progress and users' requests from the ledger.

    Args:
        scheduler: Scheduler of the stage; receives what others have recorded.
        recorder: Writes the outcome of cancelled trials.
        hold: Knows which trials other drivers work on.
        ledger: Ledger that all drivers write to.
        study: Name of the study.
        on_event: Called for trials that other drivers have ended.

    Attributes:
        is_paused: Whether a user has requested a pause.
    """

    def __init__(
        self,
        scheduler: StudyScheduler,
        recorder: Recorder,
        hold: TrialClaims,
        ledger: Ledger,
        study: str,
        on_event: OnEvent,
    ) -> None:
        self._scheduler, self._recorder, self._hold = scheduler, recorder, hold
        self._ledger, self._study, self._on_event = ledger, study, on_event
        self._looked_s = time.monotonic()
        self.is_paused = False

    @property
    def is_awaited(self) -> bool:
        """Whether another driver works on something that this stage needs."""
        return bool(self._hold.others)

    def token(self, trial: PlannedTrial) -> str:
        """Return the fencing token for the workers of a trial, see `handssl.runtime.fencing`."""
        fence = self._ledger.claims.fence(trial.trial_id)
        return fence.token if fence is not None else ""

    def is_lost(self, trial: PlannedTrial) -> bool:
        """Return whether another driver has taken over a trial that this one works on."""
        return self._hold.is_lost(trial.trial_id)

    def poll(self) -> None:
        """Call `look` unless it was called less than LOOK_S ago."""
        if time.monotonic() - self._looked_s >= LOOK_S:
            self.refresh()

    def refresh(self) -> None:
        """Read what other drivers have recorded, and carry out users' requests."""
        if self._hold.others:
            self._learn([self._scheduler.trials[name] for name in self._hold.others])
        for trial in self._scheduler.complete():
            # Here too: the driver that trained it may be gone, and no other one will end it.
            if not self._recorder.is_running(trial):
                self.take(trial)
        self._obey()
        for trial in self._scheduler.stopped():
            self._recorder.end(trial, "stopped")
        self._looked_s = time.monotonic()

    def take(self, trial: PlannedTrial) -> bool:
        """Claim a trial, and return whether it still has to be trained.

        Another driver may have run it since this one last read the ledger, and may have been killed
        before it wrote the trial's outcome.
        """
        if not self._hold.take(trial.trial_id):
            return False
        self._learn([trial])
        if self._scheduler.may_train(trial):
            return True
        if trial in self._scheduler.complete():
            self._recorder.end(trial, "completed")
            self._scheduler.ended(trial, "completed")
        self._hold.release(trial.trial_id)
        return False

    def _learn(self, trials: Sequence[PlannedTrial]) -> None:
        """Read what was recorded of trials, and report those that are over."""
        self._scheduler.learn([trial.trial_id for trial in trials])
        over = [trial.trial_id for trial in trials if self._scheduler.is_over(trial)]
        self._hold.forget(over)
        for record in self._ledger.load_all(over):
            if record.outcome != "running":
                trial = self._scheduler.trials[record.trial_id]
                value = record.metrics.get(PRIMARY_METRIC, math.nan)
                message = f"run by study {record.study}" if record.study != self._study else ""
                self._on_event(Ended(trial, record.outcome, record.epoch, value, message))

    def _obey(self) -> None:
        asked = self._ledger.asked(self._study)
        self.is_paused = asked.paused
        unwanted = [t for t in self._scheduler.missing if asked.is_cancelled(t.cell, t.block)]
        for trial in self._scheduler.cancel(unwanted):
            self._end(trial)

    def _end(self, trial: PlannedTrial) -> None:
        """Write the outcome of a cancelled trial, unless its process has yet to stop."""
        if not self._recorder.is_running(trial):
            self._recorder.end(trial, "cancelled")
