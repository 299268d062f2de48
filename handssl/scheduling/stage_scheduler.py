"""Scheduler of a stage: halving decisions that follow from the stage's log in the ledger."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.ledger import Ledger, LogEntry
from handssl.ledger.log import Kind
from handssl.ledger.record import Outcome, TrialRecord
from handssl.scheduling.halving import Arm, HalvingState, Rules


class ScheduledTrial(Protocol):
    """What the scheduler reads of a trial; `PlannedTrial` has it all."""

    @property
    def trial_id(self) -> str:
        """Id of the trial."""

    @property
    def block(self) -> int:
        """Seed of the trial."""

    @property
    def exempt(self) -> bool:
        """Whether it is never stopped early."""

    @property
    def epochs(self) -> int:
        """Epochs it trains if it is not stopped."""

    @property
    def kind(self) -> str:
        """`trial`, or the name of a reference or probe, which is not compared with others."""

    @property
    def needs(self) -> str:
        """Id of the trial whose encoder it probes; empty if it is no probe."""


Trial = TypeVar("Trial", bound=ScheduledTrial)


class StageScheduler(Generic[Trial]):
    """Decides which trials train to which epoch; restarts repeat decisions from the log.

    Trials that another stage or study has run count with their results.

    Args:
        study: Name of the study.
        stage: Name of the stage.
        trials: All of its trials, in the order of the plan.
        ledger: Ledger with the log.
        epochs: Epochs of a trial that is not stopped.
        rules: Rules of halving; None: no trial is stopped.
        read_only: Whether nothing is written.
        log_only: Whether to read the log alone, without the records of the trials, which takes
            seconds for a large study; implies `read_only`.
    """

    def __init__(
        self,
        study: str,
        stage: str,
        trials: tuple[Trial, ...],
        ledger: Ledger,
        *,
        epochs: int,
        rules: Rules | None = None,
        read_only: bool = False,
        log_only: bool = False,
    ) -> None:
        self._names, self._ledger = (study, stage), ledger
        self.trials = {trial.trial_id: trial for trial in trials}
        arms = [
            Arm(trial.trial_id, trial.block, trial.exempt, trial.epochs)
            for trial in trials
            if trial.kind == "trial"
        ]
        self.state = HalvingState(arms, rules, epochs=epochs)
        self._decisive = {*(rules.rungs if rules else ())}
        self._seen: set[tuple[str, str, int]] = set()
        self.outcomes: dict[str, Outcome] = {}
        self._attempts, self._failed = Counter[str](), dict[str, None]()
        self._ended: set[str] = set()
        read_only |= log_only
        known = [] if log_only else self._known(list(self.trials))
        if not read_only:
            ledger.append(*known)
        # The known entries, which were just written, are in the log too, and count once.
        for entry in (*ledger.log(study, stage), *known):
            self._apply(entry)
        again = [self._entry(name, "retried", self._attempts[name]) for name in self._failed]
        if not read_only:
            ledger.append(*again)
        for entry in again:
            self._apply(entry)

    @property
    def missing(self) -> tuple[Trial, ...]:
        """Trials that are not over: to be trained further, or waiting for their rung."""
        return tuple(trial for trial in self.trials.values() if not self.is_over(trial))

    @property
    def unfinished(self) -> tuple[Trial, ...]:
        """Missing trials that have not ended in this run; a failed reference has ended."""
        return tuple(trial for trial in self.missing if trial.trial_id not in self._ended)

    def is_over(self, trial: Trial) -> bool:
        """Return whether a trial is over in this stage."""
        if trial.kind != "trial":
            is_completed = self.outcomes.get(trial.trial_id) == "completed"
            return is_completed or self._is_impossible(trial)
        status = self.state.status(trial.trial_id)
        # A trial is done only when its outcome is written too.
        done = self.outcomes.get(trial.trial_id) == "completed"
        return status in ("stopped", "out") or (status == "done" and done)

    def _has_encoder(self, trial: Trial) -> bool:
        """Return whether the trial that a probe needs is completed, if it needs one."""
        return not trial.needs or self.outcomes.get(trial.needs) == "completed"

    def _is_impossible(self, trial: Trial) -> bool:
        """Return whether the trial that a probe needs has ended without an encoder."""
        needed = self.trials.get(trial.needs)
        return needed is not None and self.is_over(needed) and not self._has_encoder(trial)

    def complete(self) -> tuple[Trial, ...]:
        """Return the trials with all epochs recorded, but no outcome."""
        return tuple(
            trial
            for trial in self.missing
            if trial.kind == "trial" and self.state.status(trial.trial_id) == "done"
        )

    def target(self, trial: Trial) -> int:
        """Return the epoch up to which a trial may train at present."""
        return self.state.target(trial.trial_id) if trial.kind == "trial" else 0

    def may_train(self, trial: Trial) -> bool:
        """Return whether a trial may train now."""
        if trial.kind != "trial":
            return not self.is_over(trial) and self._has_encoder(trial)
        return self.state.status(trial.trial_id) == "goes_on"

    def entries(
        self, trial: Trial, epoch: int, metrics: Mapping[str, float]
    ) -> tuple[LogEntry, ...]:
        """Return the log entries of an epoch; empty for epochs at which nothing is decided."""
        if trial.kind != "trial" or epoch not in {*self._decisive, trial.epochs}:
            return ()
        return (
            self._entry(trial.trial_id, "reported", epoch, metrics.get(PRIMARY_METRIC, math.nan)),
        )

    def reported(self, trial: Trial, epoch: int, metrics: Mapping[str, float]) -> None:
        """Apply an epoch reported by a trial."""
        for entry in self.entries(trial, epoch, metrics):
            self._apply(entry)

    def ended(self, trial: Trial, outcome: Outcome) -> None:
        """Apply and log the outcome of a trial that ended by itself."""
        self.outcomes[trial.trial_id] = outcome
        self._ended.add(trial.trial_id)
        if trial.kind == "trial" and (outcome == "diverged" or outcome == "failed"):
            # Each failure has a number, so that the second decides after a restart too.
            attempt = self._attempts[trial.trial_id] if outcome == "failed" else 0
            entry = self._entry(trial.trial_id, outcome, attempt)
            self._ledger.append(entry)
            self._apply(entry)

    def learn(self, trial_ids: Sequence[str]) -> None:
        """Apply what other drivers have recorded of trials since the last call."""
        news = [entry for entry in self._known(trial_ids) if _key(entry) not in self._seen]
        self._ledger.append(*news)
        for entry in news:
            self._apply(entry)

    def cancel(self, trials: Iterable[Trial]) -> tuple[Trial, ...]:
        """Cancel those of the trials that are not over; return them."""
        chosen = tuple(t for t in trials if t.kind == "trial" and not self.is_over(t))
        entries = [self._entry(trial.trial_id, "cancelled", 0) for trial in chosen]
        self._ledger.append(*entries)
        for entry in entries:
            self._apply(entry)
        return chosen

    def is_cancelled(self, trial: Trial) -> bool:
        """Return whether a trial was cancelled."""
        return (trial.trial_id, "cancelled", 0) in self._seen

    def outcome(self, record: TrialRecord) -> Outcome:
        """Return a trial's outcome in this stage, which may differ from that in other stages."""
        trial = self.trials[record.trial_id]
        if self.is_cancelled(trial):
            return "cancelled"
        if trial.kind == "trial" and self.state.status(trial.trial_id) == "stopped":
            return "stopped"
        return record.outcome

    def stopped(self) -> tuple[Trial, ...]:
        """Return the trials that were stopped since the last call."""
        names, self.state.changed = self.state.changed, []
        return tuple(self.trials[name] for name in names if self.state.status(name) == "stopped")

    def _entry(self, name: str, kind: Kind, epoch: int, value: float = math.nan) -> LogEntry:
        return LogEntry(*self._names, name, kind, epoch, value if math.isfinite(value) else None)

    def _apply(self, entry: LogEntry) -> None:
        if entry.trial_id not in self.trials or _key(entry) in self._seen:
            return  # of an earlier plan of the study, or known already
        self._seen.add(_key(entry))
        name, cancelled = entry.trial_id, self.is_cancelled(self.trials[entry.trial_id])
        self._failed.pop(name, None)
        if entry.kind == "reported" and not cancelled:
            value = math.nan if entry.value is None else entry.value
            self.state.reported(name, entry.epoch, value)
        elif entry.kind == "retried" and not cancelled:
            self.state.retried(name)
        elif entry.kind == "diverged" and not cancelled:
            self.state.diverged(name)
        elif entry.kind in ("failed", "cancelled"):
            self.state.left(name)
        if entry.kind == "failed":
            self._attempts[name] = entry.epoch + 1
            self._failed |= {} if cancelled else {name: None}

    def _known(self, trial_ids: Sequence[str]) -> list[LogEntry]:
        """Return log entries from the records of trials, whichever driver has run them."""
        records = self._ledger.load_all(trial_ids)
        self.outcomes |= {record.trial_id: record.outcome for record in records}
        known = [
            entry
            for name, epochs in self._ledger.histories(trial_ids, (PRIMARY_METRIC,)).items()
            for epoch in epochs
            for entry in self.entries(self.trials[name], epoch.epoch, epoch.metrics)
        ]
        return known + [
            self._entry(record.trial_id, "diverged", 0)
            for record in records
            if record.outcome == "diverged" and self.trials[record.trial_id].kind == "trial"
        ]


def _key(entry: LogEntry) -> tuple[str, str, int]:
    return entry.trial_id, entry.kind, entry.epoch
