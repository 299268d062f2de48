"""What a stage's scheduler has seen, kept in the ledger, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from handssl.sweep.halving import Arm, HalvingState
from handssl.sweep.plan import PlannedTrial
from handssl.sweep.study import Study
from handssl.tracking.ledger import Ledger, LogEntry
from handssl.tracking.ledger.log import Kind
from handssl.tracking.record import Outcome

PRIMARY = "median_mm"


class StageScheduler:
    """Decides who trains how far; the same after every restart, because the log decides.

    Trials that another stage or study has run count with what they gave.

    Args:
        study: Gives the rules.
        stage: Name of the stage.
        trials: All of its trials, in the order of the plan.
        ledger: Holds the log.
    """

    def __init__(
        self, study: Study, stage: str, trials: tuple[PlannedTrial, ...], ledger: Ledger
    ) -> None:
        self._names, self._ledger = (study.name, stage), ledger
        self.trials = {trial.trial_id: trial for trial in trials}
        epochs = study.pretrain.epochs
        arms = [
            Arm(trial.trial_id, trial.block, trial.exempt, trial.epochs)
            for trial in trials
            if trial.kind == "trial"
        ]
        rules = study.halving.rules(epochs) if study.halving else None
        self.state = HalvingState(arms, rules, epochs=epochs)
        self._decisive = {*(rules.rungs if rules else ())}
        self.outcomes = {r.trial_id: r.outcome for r in ledger.load_all(list(self.trials))}
        self._add_known()
        for entry in ledger.log(study.name, stage):
            self._apply(entry)
        for name, outcome in self.outcomes.items():
            if outcome == "failed" and self.trials[name].kind == "trial":
                self.state.retry(name)

    @property
    def missing(self) -> tuple[PlannedTrial, ...]:
        """The trials that are not over: to be trained further, or waiting for their rung."""
        return tuple(trial for trial in self.trials.values() if not self.is_over(trial))

    def is_over(self, trial: PlannedTrial) -> bool:
        """Say whether nothing is left to be done for a trial in this stage."""
        if trial.kind != "trial":
            return self.outcomes.get(trial.trial_id) == "completed"
        status = self.state.status(trial.trial_id)
        # Done is done when its outcome is written too.
        done = self.outcomes.get(trial.trial_id) == "completed"
        return status in ("stopped", "out") or (status == "done" and done)

    def complete(self) -> tuple[PlannedTrial, ...]:
        """Return the trials whose every epoch is there and whose outcome is not."""
        return tuple(
            trial
            for trial in self.missing
            if trial.kind == "trial" and self.state.status(trial.trial_id) == "done"
        )

    def target(self, trial: PlannedTrial) -> int:
        """Return the epoch up to which a trial may train as things stand."""
        return self.state.target(trial.trial_id) if trial.kind == "trial" else 0

    def may_train(self, trial: PlannedTrial) -> bool:
        """Say whether a trial has something to do now."""
        if trial.kind != "trial":
            return not self.is_over(trial)
        return self.state.status(trial.trial_id) in ("goes_on", "done") and not self.is_over(trial)

    def entries(
        self, trial: PlannedTrial, epoch: int, metrics: Mapping[str, float]
    ) -> tuple[LogEntry, ...]:
        """Return what the log keeps of an epoch: those at which something is decided."""
        if trial.kind != "trial" or epoch not in {*self._decisive, trial.epochs}:
            return ()
        return (self._entry(trial.trial_id, "reported", epoch, metrics.get(PRIMARY, math.nan)),)

    def reported(self, trial: PlannedTrial, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take in an epoch."""
        for entry in self.entries(trial, epoch, metrics):
            self._apply(entry)

    def ended(self, trial: PlannedTrial, outcome: Outcome) -> None:
        """Take in, and keep, how a trial has ended by itself."""
        self.outcomes[trial.trial_id] = outcome
        if trial.kind == "trial" and (outcome == "diverged" or outcome == "failed"):
            entry = self._entry(trial.trial_id, outcome, 0)
            self._ledger.append(entry)
            self._apply(entry)

    def stopped(self) -> tuple[PlannedTrial, ...]:
        """Return the trials that were stopped since this was last asked."""
        names, self.state.changed = self.state.changed, []
        return tuple(self.trials[name] for name in names if self.state.status(name) == "stopped")

    def _entry(self, name: str, kind: Kind, epoch: int, value: float = math.nan) -> LogEntry:
        return LogEntry(*self._names, name, kind, epoch, value if math.isfinite(value) else None)

    def _apply(self, entry: LogEntry) -> None:
        if entry.trial_id not in self.trials:
            return  # of an earlier plan of the study
        if entry.kind == "reported":
            value = math.nan if entry.value is None else entry.value
            self.state.reported(entry.trial_id, entry.epoch, value)
        elif entry.kind in ("diverged", "failed", "cancelled"):
            self.state.left(entry.trial_id)

    def _add_known(self) -> None:
        """Put into the log what is known of the trials already."""
        histories = self._ledger.histories(list(self.trials))
        known = [
            entry
            for name, epochs in histories.items()
            for epoch in epochs
            for entry in self.entries(self.trials[name], epoch.epoch, epoch.metrics)
        ]
        known += [
            self._entry(name, "diverged", 0)
            for name, outcome in self.outcomes.items()
            if outcome == "diverged" and self.trials[name].kind == "trial"
        ]
        self._ledger.append(*known)
