"""Asynchronous copy of the local record to MLflow: training never waits for it or fails with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from handssl.errors import TakenOverError
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.runtime.fencing import held
from handssl.runtime.provenance import environment_text
from handssl.tracking.encoder_model import best_trial, has_encoder, log_encoder
from handssl.tracking.mlflow_client import RefusedError, sorted_errors
from handssl.tracking.mlflow_store import ENVIRONMENT_FILE, MlflowRuns, Shown
from handssl.tracking.outbox import Outbox, UnavailableError
from handssl.tracking.stage_view import StageView
from handssl.tracking.system_metrics import Sampler, sample

__all__ = ["MlflowTracker", "UnavailableError"]
Models = Literal["best", "all", "none"]
CLOSE_S = 30.0
_BEST, _STAGE = "the best encoder", "the stage "
_LOG = logging.getLogger("handssl")


class MlflowTracker:
    """Shows one study's trials in MLflow. The record on disk is the queue.

    Calls only note which trials have changed; a thread writes what their runs lack. While MLflow
    is not reachable it retries with growing pauses. Data that have not arrived at the end are
    written by the next run of the study.

    Args:
        tracking_uri: `sqlite:///...` or a server's address.
        study: Name of the experiment.
        store: The local record.
        models: Trials whose encoders become MLflow models: the best completed trial when the study
            is complete, all, or none. A model is a copy of the weights and takes a moment.
        samples_system: Record the load of this machine with every running trial.
    """

    def __init__(
        self,
        tracking_uri: str,
        study: str,
        store: Ledger,
        *,
        models: Models = "best",
        samples_system: bool = False,
    ) -> None:
        self.models, self.samples_system = models, samples_system
        self._study, self._store = study, store
        self._runs = MlflowRuns(tracking_uri, study, store.claims.require_now)
        self._outbox = Outbox(f"MLflow at {tracking_uri}", self._deliver)
        self._sampler = Sampler(store.storage, self._sampled)
        self._lock = threading.Lock()
        self._open: dict[str, str | None] = {}
        self._samples: dict[str, int] = {}
        self._started: set[str] = set()  # started by this process, in this environment
        self._waiting: set[str] = set()
        self._views: dict[str, StageView] = {}
        self._written = 0

    def start(self, record: TrialRecord, config: Mapping[str, Any]) -> str | None:
        """Show a trial as running.

        Args:
            record: The trial's saved record.
            config: Its resolved configuration; the record holds it too.

        Returns:
            The run's id, None if it is not known yet.
        """
        with self._lock:
            self._started.add(record.trial_id)
            self._waiting.discard(record.trial_id)
            self._open[record.trial_id] = record.mlflow_run_id
            self._samples[record.trial_id] = len(self._store.system(record.trial_id))
        if self.samples_system:
            self._sampler.start()
        self._outbox.put(record.trial_id, urgent=True)
        return record.mlflow_run_id

    def log_epoch(
        self, record: TrialRecord, epoch: int, metrics: Mapping[str, float]
    ) -> str | None:
        """Show a recorded epoch.

        Returns:
            The run's id, None if it is not known yet.
        """
        self._outbox.put(record.trial_id)
        return self._open.get(record.trial_id) or record.mlflow_run_id

    def wait(self, record: TrialRecord) -> None:
        """Show that a trial waits for others to reach the same epoch."""
        self._leave(record)
        self._waiting.add(record.trial_id)
        self._outbox.put(record.trial_id)

    def show_stage(self, view: StageView) -> None:
        """Show what belongs to a stage as a whole, now and each time one of its trials ends.

        Args:
            view: Content of its runs; replaces an earlier view of the stage.
        """
        self._views[view.stage] = view
        self._outbox.put(_STAGE + view.stage)

    def finish(self, record: TrialRecord) -> None:
        """Show a trial's outcome; `running` means interrupted and shows as killed."""
        self._leave(record)
        self._waiting.discard(record.trial_id)
        self._outbox.put(*(_STAGE + stage for stage in self._views))
        self._outbox.put(record.trial_id, urgent=True)

    def _leave(self, record: TrialRecord) -> None:
        if self.samples_system and record.trial_id in self._open:
            self._sampled(sample(self._store.storage), record.trial_id)
        with self._lock:
            self._open.pop(record.trial_id, None)
            self._samples.pop(record.trial_id, None)

    def catch_up(self) -> None:
        """Queue a comparison of all runs of this study with the local records."""
        due = [record.trial_id for record in self._store.all() if record.study == self._study]
        if due:
            self._outbox.put(*due, urgent=True)

    def sync(self, *, timeout_s: float = CLOSE_S) -> int:
        """Call `catch_up` and wait until all runs are up to date.

        Args:
            timeout_s: Longest time to wait, seconds.

        Returns:
            Number of runs that were changed.
        """
        before = self._written
        self.catch_up()
        self._outbox.wait(timeout_s)
        return self._written - before

    def close(self, *, complete: bool = False, timeout_s: float = CLOSE_S) -> None:
        """Write what is queued and end; warn about what could not be written.

        Args:
            complete: Whether all trials of the study have an outcome; then there is time to wait.
            timeout_s: Longest time to wait, seconds; for a complete study, per trial.
        """
        self._sampler.stop()
        if complete and self.models == "best":
            self._outbox.put(_BEST)
        missing = self._outbox.close(timeout_s, patient=complete)
        if missing:
            _LOG.warning(
                "MLflow at %s lacks updates of %d trials (%s, ...); the local record is complete, "
                "and the next run of the study writes them",
                *(self._runs.tracking_uri, len(missing), missing[0]),
            )

    def _deliver(self, key: str) -> None:
        try:
            self._store.claims.require_now()
            if key == _BEST:
                self._show_best()
            elif key.startswith(_STAGE):
                self._runs.bring_up_stage(self._views[key.removeprefix(_STAGE)])
            else:
                self._show(key)
        except TakenOverError:
            pass  # the driver that has taken over shows it
        except RefusedError as error:
            _LOG.warning("MLflow at %s refuses %s: %s", self._runs.tracking_uri, key, error)

    def _show(self, trial_id: str) -> None:
        with self._lock:
            running = trial_id in self._open
        record = self._store.load(trial_id)  # after the line above, or an outcome could be missed
        if record is None:
            return
        shown = self._shown(record, running=running)
        try:
            run_id, changed = self._runs.bring_up(shown)
        except RefusedError:  # the run was deleted while open: the second call creates a new one
            run_id, changed = self._runs.bring_up(shown)
        self._written += changed
        self._keep_id(trial_id, run_id)
        if self.models == "all" and not running and has_encoder(self._store, record):
            self._log_encoder(record, run_id)

    def _shown(self, record: TrialRecord, *, running: bool) -> Shown:
        trial_id, folder = record.trial_id, self._store.folder(record.trial_id)
        if trial_id in self._started and not (folder / ENVIRONMENT_FILE).exists():
            with held(self._store.claims.fence(trial_id)):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / ENVIRONMENT_FILE).write_text(environment_text(), encoding="utf-8")
        if not running:
            self._started.discard(trial_id)
        epochs, system = self._store.history(trial_id), self._store.system(trial_id)
        waiting = trial_id in self._waiting
        return Shown(record, epochs, system, running=running, folder=folder, waiting=waiting)

    def _keep_id(self, trial_id: str, run_id: str) -> None:
        """Remember a run's id; the record of a trial that is not running is ours to write."""
        with self._lock:
            if trial_id in self._open:
                self._open[trial_id] = run_id
                return
            self._store.set_run(trial_id, run_id)

    def _show_best(self) -> None:
        record = best_trial(self._store, self._study)
        if record is not None and record.mlflow_run_id is not None:
            self._log_encoder(record, record.mlflow_run_id)

    def _log_encoder(self, record: TrialRecord, run_id: str) -> None:
        folder = self._store.folder(record.trial_id)
        with sorted_errors():
            log_encoder(self._runs.client, self._runs.experiment, run_id, record, folder)

    def _sampled(self, metrics: dict[str, float], *trial_ids: str) -> None:
        """Record a sample for the given trials, by default for all that are running."""
        with self._lock:
            for trial_id in trial_ids or tuple(self._open):
                with suppress(TakenOverError):
                    self._store.append_system(trial_id, self._samples[trial_id], metrics)
                    self._samples[trial_id] += 1
                    self._outbox.put(trial_id)
