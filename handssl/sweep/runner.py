"""Run a study: prepare its data, run what is missing in Ray Tune, return what there is."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from handssl.data.preparation import prepare
from handssl.data.study_data import StudyData
from handssl.errors import InterruptedStudyError
from handssl.sweep.events import Event, OnEvent, Planned, Preparing, Stopping, Tick
from handssl.sweep.interruption import Interruption
from handssl.sweep.local_ray import Cluster, available_cpus, ray_cluster
from handssl.sweep.plan import PlannedTrial, plan_study
from handssl.sweep.recorder import Recorder
from handssl.sweep.result import StudyResult
from handssl.sweep.scheduler import BlockHalving
from handssl.sweep.storage import default_tracking_uri, locked, resolve_storage
from handssl.sweep.study import Study
from handssl.sweep.tuning import Bridge, tune_trials
from handssl.tracking.mlflow_inputs import source_tag
from handssl.tracking.provenance import provenance
from handssl.tracking.record import TrialStore
from handssl.tracking.tracker import MlflowTracker


def run(
    study: Study,
    *,
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    on_event: OnEvent | None = None,
) -> StudyResult:
    """Run the trials of a study that no earlier run has finished.

    Ctrl-C and SIGTERM end it cleanly: what finished is kept, trials under way go on from their
    last epoch when the study is run again. Uses the Ray the caller has connected to, else one of
    its own, which is gone afterwards.

    Args:
        study: What to run.
        storage: Folder of the results; default: HANDSSL_HOME, else ./handssl-runs.
        tracking_uri: MLflow store; default: SQLite in the storage.
        on_event: Called with everything that happens, in this thread; see `handssl.sweep.events`.

    Returns:
        The records of all trials; `interrupted` says whether some are missing.

    Raises:
        InputError: The study cannot be run, or another run holds the storage.
    """
    folder = resolve_storage(storage)
    with locked(folder), Interruption() as interruption:
        sweep = Sweep(study, folder, tracking_uri or default_tracking_uri(folder), interruption)
        return sweep.until_interrupted(on_event or _ignore)


class Sweep:
    """One call of `run`.

    Args:
        study: What to run.
        storage: Folder of the results.
        tracking_uri: MLflow store.
        interruption: Asked whether to end.
    """

    def __init__(
        self, study: Study, storage: Path, tracking_uri: str, interruption: Interruption
    ) -> None:
        self.study, self.storage, self.tracking_uri = study, storage, tracking_uri
        self.interruption, self.interrupted = interruption, False
        self.store = TrialStore(storage)
        self.trials: tuple[PlannedTrial, ...] = ()

    def until_interrupted(self, on_event: OnEvent) -> StudyResult:
        """Do everything, or what comes before an interruption; return what there is then."""
        try:
            self.run(on_event)
        except (KeyboardInterrupt, InterruptedStudyError):
            self.interrupted = True
        return self.result()

    def run(self, on_event: OnEvent) -> None:
        """Do everything that is still to be done."""
        with self.interruption.at_once():
            data = prepare(
                self.study.data,
                self.storage,
                lambda phase, done, total: on_event(Preparing(phase, done, total)),
                workers=available_cpus(),
            )
            splits = StudyData(data)
            self.trials = plan_study(self.study, splits.fingerprint)
        recorder = Recorder(
            self.study, self.store, self.tracker, on_event, _described(splits) | provenance()
        )
        self.tracker.catch_up()
        try:
            self._run_missing(recorder, data, on_event)
        finally:
            recorder.close()
            self.tracker.close(complete=not recorder.missing(self.trials))

    def _run_missing(self, recorder: Recorder, data: Path, on_event: OnEvent) -> None:
        missing = recorder.missing(self.trials)
        if missing:
            self.execute(missing, recorder, data, on_event)
        else:
            on_event(Planned(self.study, self.trials, missing, slots=1))

    def execute(
        self,
        missing: tuple[PlannedTrial, ...],
        recorder: Recorder,
        data: Path,
        on_event: OnEvent,
    ) -> None:
        """Run what is missing: here, in Ray Tune."""
        with ray_cluster() as cluster:
            self.interruption.listen()
            self.interruption.raise_if_requested()
            # Trials of a Ray that is not ours may run on other machines than this one.
            self.tracker.samples_system = cluster.owned
            on_event(Planned(self.study, self.trials, missing, cluster.slots))
            self._tune(missing, recorder, cluster, data, on_event)

    def result(self) -> StudyResult:
        """Return what the record holds of this plan."""
        loaded = (self.store.load(trial.trial_id) for trial in self.trials)
        records = tuple(record for record in loaded if record is not None)
        return StudyResult(
            *(self.study, self.storage, self.tracking_uri, records, len(self.trials)),
            interrupted=self.interrupted,
            stopped_by=self._stopped_by() if self.interrupted else "",
        )

    def _stopped_by(self) -> str:
        return self.interruption.signal.name if self.interruption.signal else "time"

    @cached_property
    def tracker(self) -> MlflowTracker:
        """MLflow, opened when it is first needed."""
        return MlflowTracker(self.tracking_uri, self.study.name, self.store)

    def _tune(
        self,
        missing: tuple[PlannedTrial, ...],
        recorder: Recorder,
        cluster: Cluster,
        data: Path,
        on_event: OnEvent,
    ) -> None:
        def on_step() -> None:
            on_event(Tick())
            if self.interruption.requested:
                on_event(Stopping())
                # Tune tidies up after an Exception only. In a Ray of our own that would only
                # delay the end of every process.
                raise KeyboardInterrupt if cluster.owned else InterruptedStudyError("interrupted")

        scheduler = BlockHalving(self.study, self.trials)
        self._replay(scheduler, {trial.trial_id for trial in missing})
        by_id = {trial.trial_id: trial for trial in missing}
        tune_trials(
            missing,
            scheduler=scheduler,
            callback=Bridge(by_id, recorder, on_step),
            cluster=cluster,
            data=data,
            storage=self.storage,
        )

    def _replay(self, scheduler: BlockHalving, missing: set[str]) -> None:
        """Let the scheduler judge as if it had seen the finished trials; the others report anew."""
        for trial in self.trials:
            if trial.trial_id not in missing:
                for entry in self.store.history(trial.trial_id):
                    scheduler.decide(trial.trial_id, {"epoch": entry.epoch, **entry.metrics})


def _described(splits: StudyData) -> dict[str, str]:
    """Return tags that say what data the trials read."""
    kept = {"dataset", "fingerprint", "crop_px", "context", "splits", "split_rule", "box"}
    described = (
        store.manifest.model_dump(mode="json", include=kept)
        for store in (splits.labelled, splits.pretrain)
    )
    return splits.tags() | source_tag(*described)


def _ignore(event: Event) -> None:
    pass
