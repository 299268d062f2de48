"""Work for Tune's actors: which trial trains next, and up to which epoch."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from handssl.sweep.plan import PlannedTrial
from handssl.sweep.recorder import Recorder
from handssl.sweep.scheduler import PRIMARY, StageScheduler


class Dispatch(Searcher):  # type: ignore[misc]
    """Hands out segments of trials: from the last epoch recorded to where halving decides next.

    A trial that waits for its rung holds no actor: it is handed out again when it may go on, from
    its checkpoint. Tune sees every segment as a trial of its own.

    Args:
        scheduler: Says who may train, and how far.
        recorder: Knows how far each has come.
        slots: Trials that run at once.
    """

    def __init__(self, scheduler: StageScheduler, recorder: Recorder, slots: int) -> None:
        super().__init__(metric=None, mode=None)
        self._scheduler, self._recorder, self._slots = scheduler, recorder, slots
        self._underway: dict[str, PlannedTrial] = {}
        self._over: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        """Return the next segment, None if there is none now, FINISHED if there will be none."""
        busy = {trial.trial_id for trial in self._underway.values()}
        # As many again wait in Tune's queue: each actor turns to the next at once, and further
        # actors are made while the first are at work.
        if len(busy) >= 2 * self._slots:
            return None
        for trial in self._scheduler.missing:
            free = trial.trial_id not in busy | self._over
            if free and self._scheduler.may_train(trial):
                self._underway[trial_id] = trial
                return {
                    "trial_id": trial.trial_id,
                    "after": self._recorder.known_epoch(trial),
                    "until": self._scheduler.target(trial),
                }
        return None if busy else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Take note that a segment is over; a trial that has ended or failed is not handed out."""
        trial = self._underway.pop(trial_id, None)
        if trial is not None and (error or (result or {}).get("outcome") != "waiting"):
            self._over.add(trial.trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the scheduler has seen it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger holds what a later run needs."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a later run is a new one."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its parts for a restore, which never happens here


class Judge(FIFOScheduler):  # type: ignore[misc]
    """Lets the stage's scheduler see every epoch, and stops the trials it has stopped.

    Args:
        scheduler: Decides.
    """

    def __init__(self, scheduler: StageScheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Tune's hook for an epoch after which the segment goes on."""
        planned = self._see(trial, result)
        if planned.kind == "trial" and self._scheduler.state.status(planned.trial_id) == "stopped":
            return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Tune's hook for the last epoch of a segment."""
        self._see(trial, result)

    def _see(self, trial: Any, result: dict[str, Any]) -> PlannedTrial:
        planned = self._scheduler.trials[trial.config["trial_id"]]
        if result.get("outcome") not in ("diverged", "failed"):  # they say so when they end
            self._scheduler.reported(planned, result["epoch"], {PRIMARY: result[PRIMARY]})
        return planned

    def __getstate__(self) -> dict[str, Any]:
        return {}
