"""Run a study: prepare its data, run what is missing in Ray Tune, return what there is."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

from handssl.errors import InterruptedStudyError
from handssl.sweep.events import Event, OnEvent, Planned, Selected, Stopping, Tick
from handssl.sweep.interruption import Interruption
from handssl.sweep.local_ray import Cluster, ray_cluster
from handssl.sweep.places import Places
from handssl.sweep.plan import PlannedTrial, plan_stage
from handssl.sweep.recorder import Recorder
from handssl.sweep.result import StudyResult
from handssl.sweep.scheduler import PRIMARY, BlockHalving
from handssl.sweep.stages import Finding, Selection, Stage
from handssl.sweep.storage import default_tracking_uri, locked, resolve_storage
from handssl.sweep.study import Study
from handssl.sweep.tuning import Bridge, tune_trials
from handssl.tracking.ledger import Ledger
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
        self.store = Ledger(storage)
        self.trials: tuple[PlannedTrial, ...] = ()
        self.selections: dict[str, Selection] = {}

    def until_interrupted(self, on_event: OnEvent) -> StudyResult:
        """Do everything, or what comes before an interruption; return what there is then."""
        try:
            self.run(on_event)
        except (KeyboardInterrupt, InterruptedStudyError):
            self.interrupted = True
        return self.result()

    def run(self, on_event: OnEvent) -> None:
        """Do everything that is still to be done, stage after stage."""
        with self.interruption.at_once():
            self.places = Places(self.study, self.storage, on_event)
            stages = self.study.all_stages
            self.trials = tuple(
                trial
                for stage in stages
                if not stage.needs
                for trial in plan_stage(self.study, stage, {}, self.places.fingerprint)
            )
        recorder = Recorder(self.study, self.store, self.tracker, on_event, self.places.tags)
        self.tracker.catch_up()
        try:
            for stage in stages:
                if not self._can_choose_from(stage.needs):
                    break
                self._run_stage(stage, recorder, on_event)
        finally:
            recorder.close()
            self.tracker.close(complete=not recorder.missing(self.trials))

    def _run_stage(self, stage: Stage, recorder: Recorder, on_event: OnEvent) -> None:
        with self.interruption.at_once():
            trials = plan_stage(self.study, stage, self.selections, self.places.fingerprint)
        others = [trial for trial in self.trials if trial.stage != stage.name]
        self.trials = (*others, *trials)
        missing = recorder.missing(trials)
        if missing:
            self.execute(stage, trials, missing, recorder, on_event)
        else:
            on_event(Planned(self.study, trials, missing, slots=1, stage=stage.name))
        self.selections[stage.name] = stage.select(self._findings(stage))
        on_event(Selected(self.selections[stage.name]))

    def _can_choose_from(self, needed: tuple[str, ...]) -> bool:
        """Say whether no trial of these stages has failed: what follows would rest on a gap."""
        asked = [trial.trial_id for trial in self.trials if trial.stage in needed]
        return all(record.outcome != "failed" for record in map(self.store.load, asked) if record)

    def _findings(self, stage: Stage) -> list[Finding]:
        cells = {cell.label: cell for cell in self.study.resolve(stage, self.selections)}
        found = []
        for trial in self.trials:
            record = self.store.load(trial.trial_id)
            if trial.stage == stage.name and trial.cell in cells and record is not None:
                value = record.metrics.get(PRIMARY, math.nan)
                found.append(
                    Finding(cells[trial.cell], trial.block, record.outcome, record.epoch, value)
                )
        return found

    def execute(
        self,
        stage: Stage,
        trials: tuple[PlannedTrial, ...],
        missing: tuple[PlannedTrial, ...],
        recorder: Recorder,
        on_event: OnEvent,
    ) -> None:
        """Run what is missing of a stage: here, in Ray Tune."""
        with ray_cluster() as cluster:
            self.interruption.listen()
            self.interruption.raise_if_requested()
            # Trials of a Ray that is not ours may run on other machines than this one.
            self.tracker.samples_system = cluster.owned
            on_event(Planned(self.study, trials, missing, cluster.slots, stage=stage.name))
            self._tune(trials, missing, recorder, cluster, on_event)

    def result(self) -> StudyResult:
        """Return what the record holds of this plan."""
        # A trial that two stages ask for is one trial.
        names = dict.fromkeys(trial.trial_id for trial in self.trials)
        records = tuple(filter(None, map(self.store.load, names)))
        return StudyResult(
            *(self.study, self.storage, self.tracking_uri, records, len(names)),
            selections=tuple(self.selections.values()),
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
        trials: tuple[PlannedTrial, ...],
        missing: tuple[PlannedTrial, ...],
        recorder: Recorder,
        cluster: Cluster,
        on_event: OnEvent,
    ) -> None:
        def on_step() -> None:
            on_event(Tick())
            if self.interruption.requested:
                on_event(Stopping())
                # Tune tidies up after an Exception only. In a Ray of our own that would only
                # delay the end of every process.
                raise KeyboardInterrupt if cluster.owned else InterruptedStudyError("interrupted")

        scheduler = BlockHalving(self.study, trials)
        self._replay(scheduler, trials, {trial.trial_id for trial in missing})
        by_id = {trial.trial_id: trial for trial in missing}
        tune_trials(
            missing,
            scheduler=scheduler,
            callback=Bridge(by_id, recorder, on_step),
            cluster=cluster,
            data={trial.trial_id: self.places.folder(trial) for trial in missing},
            storage=self.storage,
        )

    def _replay(
        self, scheduler: BlockHalving, trials: tuple[PlannedTrial, ...], missing: set[str]
    ) -> None:
        """Let the scheduler judge as if it had seen the finished trials; the others report anew."""
        for trial in trials:
            if trial.trial_id not in missing:
                for entry in self.store.history(trial.trial_id):
                    scheduler.decide(trial.trial_id, {"epoch": entry.epoch, **entry.metrics})


def _ignore(event: Event) -> None:
    pass
