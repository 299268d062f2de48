"""Ray Tune searcher and scheduler that hand out segments of trials and stop trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.execution.coordination import PeerCoordinator
from handssl.execution.recorder import Recorder
from handssl.execution.trial_claims import TrialClaims
from handssl.execution.tune.trainable import TAKEN_OVER
from handssl.planning.execution_options import ExecutionOptions
from handssl.study.trials import PlannedTrial, StudyScheduler

_UNMEASURED = ("diverged", "failed", "refused", TAKEN_OVER)  # reported when they end


class TuneSearcher(Searcher):  # type: ignore[misc]
    """Hands out segments of trials: from the last recorded epoch to the next halving decision.

    A trial that waits for its rung holds no actor: it is handed out again when it may continue,
    from its checkpoint. Tune sees every segment as a separate trial.

    Args:
        scheduler: Decides which trials may train, and up to which epoch.
        recorder: Knows the last recorded epoch of each trial.
        peers: Claims trials, and knows of other drivers.
        queue: Number of segments that Tune has at a time.
        options: Execution options: segments per wave, and retries of a trial.

    Attributes:
        over: Ids of trials that are not handed out again: diverged, failed, or lost too often.
    """

    def __init__(
        self,
        scheduler: StudyScheduler,
        recorder: Recorder,
        peers: PeerCoordinator,
        *,
        queue: int,
        options: ExecutionOptions,
    ) -> None:
        super().__init__(metric=None, mode=None)
        self._scheduler, self._recorder, self._peers = scheduler, recorder, peers
        self._queue, self._options, self._left = queue, options, 0
        self._underway: dict[str, PlannedTrial] = {}
        self._lost: Counter[str] = Counter()
        self.over: set[str] = set()

    def next_wave(self) -> bool:
        """Start a wave if the last one has handed out all its segments; return whether it did."""
        if self._left > 0:
            return False
        self._left = self._options.wave
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return the next segment; None if there is none now, FINISHED if there will be none."""
        # As many segments as run at once also wait in Tune's queue: each actor takes the next one
        # immediately, and further actors are created while the first ones train.
        if len(self._underway) >= self._queue:
            return None
        trial = next(self._able(), None) if self._left > 0 else None
        if trial is None:
            return None if self._underway or self._awaits_others() else Searcher.FINISHED
        self._underway[trial_id] = trial
        self._left -= 1
        return {
            "trial_id": trial.trial_id,
            "after": self._recorder.known_epoch(trial),
            "until": self._scheduler.target(trial),
            "token": self._peers.token(trial),
        }

    def _able(self) -> Iterator[PlannedTrial]:
        """Yield the trials that can be handed out now, claimed."""
        busy = {trial.trial_id for trial in self._underway.values()}
        for trial in self._scheduler.missing:
            free = trial.trial_id not in busy | self.over and self._scheduler.may_train(trial)
            if free and self._peers.take(trial):
                yield trial

    def _awaits_others(self) -> bool:
        """Return whether another driver works on something that this stage needs."""
        return self._left > 0 and self._peers.is_awaited

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Note that a segment is over; a trial that has ended is not handed out again.

        A trial whose process was lost is handed out again up to `retries` times, since no error of
        a trial itself ends its process. A trial that another driver has taken over is awaited like
        all trials of other drivers.
        """
        trial = self._underway.pop(trial_id, None)
        if trial is None or self._peers.is_lost(trial):
            return
        self._lost[trial.trial_id] += error
        tried_enough = error and self._lost[trial.trial_id] > self._options.retries
        # Completed, stopped and cancelled trials are no longer missing.
        if tried_enough or (result or {}).get("outcome") in ("diverged", "failed"):
            self.over.add(trial.trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Do nothing: the scheduler has seen the result."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the ledger holds what a later run needs."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a later run is a new one."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its parts for a restore, which never happens here


class TuneStopper(FIFOScheduler):  # type: ignore[misc]
    """Passes every epoch to the stage's scheduler, and stops the trials that it has stopped.

    Args:
        scheduler: Scheduler of the stage, which decides.
        hold: Knows which trials another driver has taken over.
    """

    def __init__(self, scheduler: StudyScheduler, hold: TrialClaims) -> None:
        super().__init__()
        self._scheduler, self._hold = scheduler, hold

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Tune's hook for an epoch after which the segment continues."""
        planned = self._see(trial, result)
        status = self._scheduler.state.status(planned.trial_id) if planned.kind == "trial" else ""
        if status in ("stopped", "out") or self._hold.is_lost(planned.trial_id):
            return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Tune's hook for the last epoch of a segment."""
        self._see(trial, result)

    def _see(self, trial: Any, result: dict[str, Any]) -> PlannedTrial:
        planned = self._scheduler.trials[trial.config["trial_id"]]
        # Results of a trial that another driver has taken over come from that driver's records.
        lost = self._hold.is_lost(planned.trial_id)
        if not lost and result.get("outcome") not in _UNMEASURED:
            self._scheduler.reported(
                planned, result["epoch"], {PRIMARY_METRIC: result[PRIMARY_METRIC]}
            )
        return planned

    def __getstate__(self) -> dict[str, Any]:
        return {}
