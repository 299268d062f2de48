"""Runs of a study in MLflow: one experiment per study, one run per stage, cell and trial.

A run is addressed by its id, never by an active run. What a run lacks is found by reading it, so
that every point is stored once, even if the response to an earlier write was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mlflow.tracking import MlflowClient

from handssl.ledger.record import EpochMetrics, TrialRecord
from handssl.runtime.provenance import environment_digest
from handssl.tracking import mlflow_client
from handssl.tracking.mlflow_inputs import data_inputs
from handssl.tracking.mlflow_points import (
    batches,
    key_of,
    params_of,
    run_name,
    status_of,
    tags_of,
)
from handssl.tracking.parameters import parameters_of
from handssl.tracking.stage_view import StageRuns, StageView, attach

ENVIRONMENT_FILE = "environment.txt"


@dataclass(frozen=True)
class Shown:
    """The content that a trial's run should have.

    Attributes:
        record: Current record of the trial.
        epochs: Metrics of its epochs.
        system: Samples of the machine's load.
        running: Whether this process runs it now.
        waiting: Whether it continues, in this run of the study, once other trials reach its epoch.
        folder: Folder of the trial's files.
    """

    record: TrialRecord
    epochs: Sequence[EpochMetrics] = ()
    system: Sequence[EpochMetrics] = ()
    running: bool = False
    folder: Path | None = None
    waiting: bool = False


@dataclass
class _Known:
    """The content that a run is known to have."""

    run_id: str
    status: str
    name: str
    params: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    has_inputs: bool = False
    is_new: bool = False
    steps: dict[str, set[int]] = field(default_factory=dict)


class MlflowRuns:
    """Updates runs to match the local record; raises if the store is not reachable.

    Args:
        tracking_uri: `sqlite:///...` or a server's address.
        study: Name of the experiment.
        require: Raises TakenOverError if another driver has taken over the study. Also called after
            each run is created: that may take long, and the other driver may have created one.
    """

    def __init__(
        self, tracking_uri: str, study: str, require: Callable[[], None] = lambda: None
    ) -> None:
        self.tracking_uri, self.study, self._require = tracking_uri, study, require
        self._connected: tuple[MlflowClient, str] | None = None
        self._stages: dict[str, str] = {}
        self._stage_runs: StageRuns | None = None
        self._known: dict[str, _Known] = {}
        self._doubtful: set[str] = set()

    def bring_up(self, shown: Shown) -> tuple[str, bool]:
        """Write what a trial's run lacks; the first call finds its run or creates one.

        Args:
            shown: The content that the run should have.

        Returns:
            The run's id and whether anything was written.

        Raises:
            UnavailableError: The store is not reachable; what was written is not known.
            RefusedError: The store rejects the request.
        """
        trial_id = shown.record.trial_id
        known = self._known.pop(trial_id, None)  # kept only if everything has arrived
        with mlflow_client.sorted_errors():
            known = known or self._find(shown.record) or self._create(shown)
            changed = known.is_new
            known.is_new = False
            changed |= self._write_inputs(known, shown)
            changed |= self._write_points(known, shown)
            changed |= self._write_status(known, shown)
        if shown.running:
            self._known[trial_id] = known
        return known.run_id, changed

    @property
    def client(self) -> MlflowClient:
        """The client, connected on first use."""
        return self._connect()[0]

    @property
    def experiment(self) -> str:
        """Id of the experiment."""
        return self._connect()[1]

    def _connect(self) -> tuple[MlflowClient, str]:
        if self._connected is None:
            self._connected = mlflow_client.connect(self.tracking_uri, self.study)
        return self._connected

    def _write_inputs(self, known: _Known, shown: Shown) -> bool:
        inputs = [] if known.has_inputs else data_inputs(shown.record.tags)
        if inputs:
            self.client.log_inputs(known.run_id, inputs)
            known.has_inputs = True
        return bool(inputs)

    def _write_files(self, known: _Known, shown: Shown) -> dict[str, str]:
        """Upload missing files; return the tags that record this, to be written with others."""
        record = shown.record
        # The configuration of a trial must be complete to run it again; a reference is not run.
        whole = record.objective != "reference"
        text = yaml.safe_dump(record.config if whole else parameters_of(record), sort_keys=False)
        attached = attach(self.client, known.run_id, known.tags, "config.yaml", text)
        return attached | self._write_environment(known, shown)

    def _write_environment(self, known: _Known, shown: Shown) -> dict[str, str]:
        path = shown.folder / ENVIRONMENT_FILE if shown.folder else None
        if path is None or not path.is_file():
            return {}
        tag = {"environment": environment_digest(path)}
        if not tag.items() <= known.tags.items():
            self.client.log_artifact(known.run_id, str(path))
        return tag

    def _write_points(self, known: _Known, shown: Shown) -> bool:
        wanted = tags_of(shown.record) | self._write_files(known, shown)
        if runs := self._stage_runs:
            wanted |= runs.parent_of(shown.record.stage, shown.record.cell)
        tags = {k: v for k, v in wanted.items() if known.tags.get(k) != v}
        params = {k: v for k, v in params_of(shown.record).items() if k not in known.params}
        entries = [e for e in _entries(shown) if e.epoch not in self._steps(known, e)]
        for batch in batches(entries, params, tags):
            self.client.log_batch(known.run_id, batch.metrics, batch.params, batch.tags)
        for entry in entries:
            self._steps(known, entry).add(entry.epoch)
        known.params |= params.keys()
        known.tags |= tags
        return bool(entries or params or tags)

    def _write_status(self, known: _Known, shown: Shown) -> bool:
        self._write_name(known, shown.record)
        status = status_of(shown.record, running=shown.running, waiting=shown.waiting)
        if not shown.running and shown.record.trial_id in self._doubtful:
            self._remove_twins(known.run_id, shown.record)
        if known.status == status:
            return False
        if shown.running or shown.waiting:
            self.client.update_run(known.run_id, status)
        else:
            self.client.set_terminated(known.run_id, status, _last_ms(shown))
        known.status = status
        return True

    def _write_name(self, known: _Known, record: TrialRecord) -> None:
        """Put the errors of a completed trial into its name."""
        name = _name(record)
        if name != known.name:
            self.client.update_run(known.run_id, name=name)
            known.name = name

    def _steps(self, known: _Known, entry: EpochMetrics) -> set[int]:
        """Return the steps that a run has of the metric that represents an entry."""
        name = key_of(entry.metrics)
        if name not in known.steps:
            history = self.client.get_metric_history(known.run_id, name)
            known.steps[name] = {int(point.step) for point in history}
        return known.steps[name]

    def _find(self, record: TrialRecord) -> _Known | None:
        run = self._by_id(record.mlflow_run_id) if record.mlflow_run_id else None
        run = run or self._first(f"tags.trial_id = '{record.trial_id}'")
        if run is None:
            return None
        inputs = getattr(run.inputs, "dataset_inputs", None)
        info, data = run.info, run.data
        known = _Known(info.run_id, info.status, info.run_name, set(data.params), dict(data.tags))
        known.has_inputs = bool(inputs)
        return known

    def _by_id(self, run_id: str) -> Any | None:
        try:
            with mlflow_client.sorted_errors():
                run = self.client.get_run(run_id)
        except mlflow_client.RefusedError:
            return None  # the recorded run belongs to another store
        # A deleted run accepts no more points; the trial gets a new one.
        return run if run.info.lifecycle_stage == "active" else None

    def _create(self, shown: Shown) -> _Known:
        record = shown.record
        tags, name = tags_of(record), _name(record)
        started_ms = min(
            (e.time_ms for e in shown.epochs if e.time_ms), default=time.time_ns() // 1_000_000
        )
        try:
            run = self.client.create_run(self.experiment, started_ms, tags, name)
        except Exception:
            self._doubtful.add(record.trial_id)  # it may still be created, besides the next one
            raise
        self._keep(run)
        known = _Known(run.info.run_id, run.info.status, name, tags=tags, is_new=True)
        known.steps = {key_of(e.metrics): set() for e in _entries(shown)}
        return known

    def _keep(self, run: Any) -> None:
        """Keep a new run, unless another driver has taken the study over meanwhile."""
        mlflow_client.keep(self.client, run, self._require)

    def _remove_twins(self, run_id: str, record: TrialRecord) -> None:
        """Delete runs that were created by requests whose responses were lost."""
        for run in self._search(f"tags.trial_id = '{record.trial_id}'", 10):
            if run.info.run_id != run_id:
                self.client.delete_run(run.info.run_id)
        self._doubtful.discard(record.trial_id)

    def _first(self, condition: str) -> Any | None:
        return next(iter(self._search(condition, 1)), None)

    def _search(self, condition: str, most: int) -> list[Any]:
        return list(self.client.search_runs([self.experiment], condition, max_results=most))

    def bring_up_stage(self, view: StageView) -> None:
        """Write what the run of a stage and those of its cells lack.

        Raises:
            UnavailableError: The store is not reachable.
            RefusedError: The store rejects the request.
        """
        with mlflow_client.sorted_errors():
            runs = self._stage_runs
            self._stage_runs = None  # kept only if all writes succeed, else their state is unknown
            of = (self.client, self.experiment, self.study)
            runs = runs or StageRuns(*of, self.stage_run, self._keep)
            runs.bring_up(view)
            self._stage_runs = runs

    def stage_run(self, stage: str) -> str:
        """Return the run with the files of a stage; FINISHED, as it computes nothing itself."""
        if stage not in self._stages:
            run = self._first(f"tags.stage = '{stage}' and tags.kind = 'stage'")
            if run is None:
                tags = {"stage": stage, "study": self.study, "kind": "stage"}
                run = self.client.create_run(
                    self.experiment, tags=tags, run_name=f"{stage} · files"
                )
                self._keep(run)
                self.client.set_terminated(run.info.run_id)
            self._stages[stage] = str(run.info.run_id)
        return self._stages[stage]


def _name(record: TrialRecord) -> str:
    result = record.metrics if record.outcome == "completed" else {}
    return run_name(record.cell, result, record.block)


def _entries(shown: Shown) -> list[EpochMetrics]:
    """Return all plotted entries: epochs, the end of a diverged trial, samples of the load."""
    record, entries = shown.record, [*shown.epochs]
    if record.outcome == "diverged":
        metrics, time_ms = {"diverged": 1.0}, _last_ms(shown)
        entries.append(EpochMetrics(epoch=record.epoch, metrics=metrics, time_ms=time_ms))
    return [entry for entry in [*entries, *shown.system] if entry.metrics]


def _last_ms(shown: Shown) -> int | None:
    times = [entry.time_ms for entry in (*shown.epochs, *shown.system) if entry.time_ms]
    return max(times, default=None)
