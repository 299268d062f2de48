"""Recorder of trials: writes what they report to the ledger first, then to MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handssl.ledger import Ledger, LogEntry
from handssl.ledger.record import TrialRecord
from handssl.runtime.installation import code_digest
from handssl.runtime.provenance import CODE_TAG
from handssl.runtime.secrets import masked
from handssl.study.events import Ended, EpochEnded, OnEvent, Outcome, Paused, Started, WorkerEvent
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial
from handssl.training.machine_file import machine_of

EPOCH_S, DEVICE_S = "time/epoch_s", "time/device_s"
FINISHED = ("completed", "stopped", "diverged")


class Recorder:
    """Records trials as they start, continue, wait and end.

    Args:
        study: The study.
        store: The ledger, the authoritative record.
        tracker: MLflow tracker, for display only; its errors never make a trial fail.
        on_event: Called with an event for everything recorded.
        data: Returns the tags about a trial's data.

    Attributes:
        devices: GPUs of each trial, or cores if there are no GPUs.
    """

    def __init__(
        self,
        study: Study,
        store: Ledger,
        tracker: Any,
        on_event: OnEvent,
        data: Callable[[PlannedTrial], dict[str, str]] = lambda trial: {},
    ) -> None:
        self._study, self._store, self._tracker = study, store, tracker
        self._on_event, self._data = on_event, data
        self.devices = 1.0
        self._running: dict[str, TrialRecord] = {}
        self._waiting: dict[str, TrialRecord] = {}

    def known_epoch(self, trial: PlannedTrial) -> int:
        """Return the last recorded epoch of a trial; -1 if there is none."""
        record = self._running.get(trial.trial_id) or self._store.load(trial.trial_id)
        return record.epoch if record is not None and record.metrics else -1

    def is_running(self, trial: PlannedTrial) -> bool:
        """Return whether a trial is running under this driver."""
        return trial.trial_id in self._running

    def start(self, trial: PlannedTrial) -> None:
        """Open a trial's record and its MLflow run."""
        self._waiting.pop(trial.trial_id, None)
        record = self._store.load(trial.trial_id) or self._new_record(trial)
        record = record.model_copy(update={"outcome": "running", "tags": _with_code(record.tags)})
        self._save(record)  # first: the tracker shows what is on disk
        self._keep_run(record, self._tracker.start(record, trial.config.model_dump(mode="json")))
        self._on_event(Started(trial, record.epoch))

    def epoch(
        self,
        trial: PlannedTrial,
        epoch: int,
        metrics: Mapping[str, float],
        s: float,
        entries: Sequence[LogEntry] = (),
    ) -> None:
        """Add an epoch, and entries to the study's log; existing ones stay unchanged."""
        record = self._running[trial.trial_id]
        values = {name: value for name, value in metrics.items() if math.isfinite(value)}
        known = epoch <= record.epoch and bool(record.metrics)
        if not known:
            times = {EPOCH_S: s, DEVICE_S: s * self.devices}
            timed = values | (times if math.isfinite(s) else {})
            tags = record.tags | machine_of(self._store.folder(record.trial_id))
            record = record.model_copy(update={"epoch": epoch, "tags": tags})
            record = self._store.report(record, timed, *entries)
            self._running[record.trial_id] = record
        self._keep_run(record, self._tracker.log_epoch(record, epoch, values))
        self._on_event(EpochEnded(trial, epoch, values, math.nan if known else s))

    def pause(self, trial: PlannedTrial) -> None:
        """Record that a trial waits, for others or for a process; it isn't running, nor over."""
        record = self._running.pop(trial.trial_id, None)
        if record is None:
            return  # lost before it had started
        self._waiting[trial.trial_id] = record
        self._tracker.wait(record)
        self._on_event(Paused(trial, record.epoch))

    def notice(self, trial: PlannedTrial, text: str, replayed_steps: int = 0) -> None:
        """Report an event of a trial's processes that doesn't end the trial."""
        self._on_event(WorkerEvent(trial, text, replayed_steps))

    def end(self, trial: PlannedTrial, outcome: Outcome, message: str = "") -> None:
        """Write a trial's outcome; a completed one stays so whatever a later stage decides."""
        message = masked(message)
        self._waiting.pop(trial.trial_id, None)
        record = self._running.pop(trial.trial_id, None) or self._store.load(trial.trial_id)
        record = record or self._new_record(trial)
        if record.outcome != "completed":
            tags = record.tags | ({"message": message} if message else {})
            record = record.model_copy(update={"outcome": outcome, "tags": tags})
            self._store.save(record)
            self._tracker.finish(record)
        median_mm = record.metrics.get("median_mm", math.nan)
        self._on_event(Ended(trial, outcome, record.epoch, median_mm, message))

    def close(self) -> None:
        """Leave unfinished trials as `running`, to be resumed; MLflow shows them as killed."""
        for record in (*self._running.values(), *self._waiting.values()):
            self._tracker.finish(record)
        self._running.clear()
        self._waiting.clear()

    def _keep_run(self, record: TrialRecord, run_id: str | None) -> None:
        """Store the MLflow run's id once it is known; a resumed trial continues that run."""
        if run_id is not None and run_id != record.mlflow_run_id:
            self._save(record.model_copy(update={"mlflow_run_id": run_id}))

    def _save(self, record: TrialRecord) -> None:
        self._running[record.trial_id] = record
        self._store.save(record)

    def _new_record(self, trial: PlannedTrial) -> TrialRecord:
        return TrialRecord(
            trial_id=trial.trial_id,
            study=self._study.name,
            stage=trial.stage or self._study.stage,
            cell=trial.cell,
            composition=trial.composition,
            objective=trial.objective,
            block=trial.block,
            outcome="running",
            epoch=0,
            epochs=trial.epochs,
            config=trial.config.model_dump(mode="json"),
            tags=self._data(trial),
        )


def _with_code(tags: Mapping[str, str]) -> dict[str, str]:
    """Add this process's code: a resumed trial may have been started with other code."""
    codes = [code for code in tags.get(CODE_TAG, "").split(", ") if code]
    return {**tags, CODE_TAG: ", ".join(dict.fromkeys([*codes, code_digest()]))}


def device_s(metrics: Mapping[str, float]) -> float:
    """Return the device-seconds of an epoch; early versions recorded it for one device.

    Args:
        metrics: Metrics of the epoch, by name.

    Example:
        >>> device_s({"time/epoch_s": 8.0, "time/device_s": 2.0}), device_s({"time/epoch_s": 8.0})
        (2.0, 8.0)
    """
    return metrics.get(DEVICE_S, metrics.get(EPOCH_S, 0.0))
