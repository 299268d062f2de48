"""MLflow shows what the local record holds: one experiment a study, one run a trial.

A run is addressed by its id, never by an active run. If the store cannot be reached, training goes
on, one warning is printed, and `sync` fills in later what is missing; every point is logged once.
"""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A server that is away must not hold up training: MLflow's own defaults wait for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from handssl.pose import PRIMARY
from handssl.tracking.conventions import artifact_location, flatten
from handssl.tracking.provenance import git_state, library_versions
from handssl.tracking.record import EpochMetrics, TrialRecord, TrialStore

_Result = TypeVar("_Result")
_PARAM_CHARACTERS = 6000
_BATCH = 100  # parameters and tags MLflow takes at once
_STATUS = {"running": "KILLED", "failed": "FAILED"}
for _noisy in ("alembic", "mlflow"):
    logging.getLogger(_noisy).setLevel(logging.ERROR)


class MlflowTracker:
    """Writes one study's trials to an MLflow store; never makes a trial fail.

    Args:
        tracking_uri: `sqlite:///...` or a server's address.
        study: Name of the experiment.
    """

    def __init__(self, tracking_uri: str, study: str) -> None:
        self.tracking_uri, self.study = tracking_uri, study
        self.available = True
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._stages: dict[str, str] = {}
        self._logged: dict[tuple[str, str], set[int]] = {}

    def start(self, record: TrialRecord, config: Mapping[str, Any]) -> str | None:
        """Open a trial's run, a new one or the one it had before an interruption.

        Args:
            record: The trial.
            config: Its resolved configuration, logged as parameters.

        Returns:
            The run's id; the record's own if the store is away.
        """
        return self._safely(lambda: self._open(record, config)) or record.mlflow_run_id

    def log_epoch(self, record: TrialRecord, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch's metrics in one batch, unless the run has that step already."""
        run_id = record.mlflow_run_id
        if run_id is not None:
            self._safely(lambda: self._log(run_id, epoch, metrics))

    def finish(self, record: TrialRecord) -> None:
        """Close a trial's run with its outcome; `running` means interrupted and shows as killed."""
        run_id = record.mlflow_run_id
        if run_id is not None:
            self._safely(lambda: self._close(run_id, record))

    def sync(self, store: TrialStore) -> int:
        """Bring the runs of this study up to the local records.

        Args:
            store: The records.

        Returns:
            How many runs had to be changed.
        """
        self.available = True
        self._logged.clear()  # a write that seemed to fail may have arrived
        done = 0
        for record in (record for record in store.all() if record.study == self.study):
            history = store.history(record.trial_id)
            if self._safely(partial(self._is_behind, record, history)):
                done += self._catch_up(record, store, history)
        return done

    def _catch_up(
        self, record: TrialRecord, store: TrialStore, history: list[EpochMetrics]
    ) -> bool:
        run_id = self.start(record, record.config)
        if not self.available or run_id is None:
            return False
        known = record.model_copy(update={"mlflow_run_id": run_id})
        store.save(known)
        for entry in history:
            self.log_epoch(known, entry.epoch, entry.metrics)
        self.finish(known)
        return self.available

    def _is_behind(self, record: TrialRecord, history: list[EpochMetrics]) -> bool:
        run_id = self._find(record)
        if run_id is None:
            return True
        run = self._connect().get_run(run_id)
        logged = all(
            entry.epoch in self._steps(run_id, entry.metrics) for entry in history if entry.metrics
        )
        closed = run.info.status == _STATUS.get(record.outcome, "FINISHED")
        return not (logged and closed and run.data.tags.get("outcome") == record.outcome)

    def _safely(self, action: Callable[[], _Result]) -> _Result | None:
        if not self.available:
            return None
        try:
            return action()
        # A store of another kind needs a driver, whose absence is an ImportError.
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            self.available = False
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            warnings.warn(
                f"MLflow at {self.tracking_uri} cannot be written ({reason}); training goes on, "
                "the local record is complete, and the next run of the study fills MLflow in",
                stacklevel=3,
            )
            return None

    def _open(self, record: TrialRecord, config: Mapping[str, Any]) -> str:
        client = self._connect()
        run_id = self._find(record)
        if run_id is None:
            tags = self._tags(record) | {"mlflow.parentRunId": self._stage(record.stage)}
            name = f"{record.cell} · block {record.block}"
            run = client.create_run(self._experiment, tags=tags, run_name=name)
            run_id = str(run.info.run_id)
        else:
            client.set_terminated(run_id, "RUNNING")
        self._log_params(run_id, config)
        return run_id

    def _log_params(self, run_id: str, config: Mapping[str, Any]) -> None:
        known = self._connect().get_run(run_id).data.params
        flat = {k: v for k, v in flatten(config).items() if k not in known}
        params = [Param(name, value[:_PARAM_CHARACTERS]) for name, value in flat.items()]
        for start in range(0, len(params), _BATCH):
            self._connect().log_batch(run_id, params=params[start : start + _BATCH])

    def _log(self, run_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        if not finite or epoch in self._steps(run_id, finite):
            return
        now_ms = int(time.time() * 1000)
        points = [Metric(name, value, now_ms, epoch) for name, value in finite.items()]
        self._connect().log_batch(run_id, metrics=points)
        self._steps(run_id, finite).add(epoch)

    def _steps(self, run_id: str, metrics: Mapping[str, float]) -> set[int]:
        """Return the steps a run has; an epoch is one batch, so one of its metrics tells."""
        name = "median_mm" if "median_mm" in metrics else min(metrics)
        if (run_id, name) not in self._logged:
            history = self._connect().get_metric_history(run_id, name)
            self._logged[run_id, name] = {int(point.step) for point in history}
        return self._logged[run_id, name]

    def _close(self, run_id: str, record: TrialRecord) -> None:
        if record.outcome == "diverged":
            self._log(run_id, record.epoch, {"diverged": 1.0})
        tags = record.tags | {"outcome": record.outcome}
        self._connect().log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])
        self._connect().set_terminated(run_id, _STATUS.get(record.outcome, "FINISHED"))

    def _connect(self) -> MlflowClient:
        """Return the client; the first call makes the schema and finds or makes the experiment."""
        if self._client is None:
            client = MlflowClient(self.tracking_uri)
            found = client.get_experiment_by_name(self.study)
            if found is None:
                place = artifact_location(self.tracking_uri)
                self._experiment = client.create_experiment(self.study, artifact_location=place)
            else:
                self._experiment = found.experiment_id
                if found.lifecycle_stage == "deleted":
                    client.restore_experiment(self._experiment)
            self._client = client
        return self._client

    def _find(self, record: TrialRecord) -> str | None:
        if record.mlflow_run_id is not None:
            try:
                known = self._connect().get_run(record.mlflow_run_id).info
            except MlflowException:
                known = None  # another store than the one the record knows
            # A run that somebody deleted takes no more points; the trial gets a new one.
            if known is not None and known.lifecycle_stage == "active":
                return str(known.run_id)
        return self._first(f"tags.trial_id = '{record.trial_id}'")

    def _first(self, condition: str) -> str | None:
        runs = self._connect().search_runs([self._experiment], condition, max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _stage(self, stage: str) -> str:
        """Return the parent run of a stage; it is FINISHED, for it computes nothing itself."""
        if stage not in self._stages:
            run_id = self._first(f"tags.stage = '{stage}' and tags.kind = 'stage'")
            if run_id is None:
                tags = {"stage": stage, "study": self.study, "kind": "stage"}
                run = self._connect().create_run(self._experiment, tags=tags, run_name=stage)
                run_id = str(run.info.run_id)
                self._connect().set_terminated(run_id)
            self._stages[stage] = run_id
        return self._stages[stage]

    def _tags(self, record: TrialRecord) -> dict[str, str]:
        own = ("trial_id", "study", "stage", "cell", "composition", "objective", "block", "outcome")
        tags = {name: str(getattr(record, name)) for name in own}
        tags |= {"transformation": record.composition, "seed": str(record.block)}
        tags |= {"protocol": PRIMARY} | git_state() | library_versions()
        return record.tags | tags
