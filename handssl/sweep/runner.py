"""Run a study: prepare its data, run what is missing in Ray Tune, return what there is."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

from handssl.errors import InterruptedStudyError
from handssl.sweep.events import Event, OnEvent, Planned, Selected, Stopping, Tick
from handssl.sweep.interruption import Interruption
from handssl.sweep.local_ray import ray_cluster
from handssl.sweep.places import Places
from handssl.sweep.plan import PlannedTrial, plan_stage
from handssl.sweep.planning.registered import keep as keep_plan
from handssl.sweep.recorder import Recorder
from handssl.sweep.result import StudyResult
from handssl.sweep.scheduler import PRIMARY, StageScheduler
from handssl.sweep.stages import Finding, Selection, Stage
from handssl.sweep.storage import default_tracking_uri, locked, resolve_storage
from handssl.sweep.study import Study
from handssl.sweep.tuning import tune_trials
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
            self.places.plan = keep_plan(self.study, self.storage, self.store, on_event)
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
            self.tracker.close(complete=self._is_complete())

    def _run_stage(self, stage: Stage, recorder: Recorder, on_event: OnEvent) -> None:
        with self.interruption.at_once():
            trials = plan_stage(self.study, stage, self.selections, self.places.fingerprint)
        others = [trial for trial in self.trials if trial.stage != stage.name]
        self.trials = (*others, *trials)
        scheduler = StageScheduler(self.study, stage.name, trials, self.store)
        for trial in scheduler.complete():  # whose outcome a crash has kept from being written
            recorder.end(trial, "completed")
            scheduler.ended(trial, "completed")
        for trial in scheduler.stopped():
            recorder.end(trial, "stopped")
        if scheduler.missing:
            self.execute(scheduler, recorder, on_event)
        else:
            on_event(Planned(self.study, trials, (), slots=1, stage=stage.name))
        self.selections[stage.name] = stage.select(self._findings(stage))
        on_event(Selected(self.selections[stage.name]))

    def _is_complete(self) -> bool:
        """Say whether every stage has chosen and no trial has failed."""
        everything = len(self.selections) == len(self.study.all_stages)
        return everything and self._can_choose_from(tuple(self.selections))

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

    def execute(self, scheduler: StageScheduler, recorder: Recorder, on_event: OnEvent) -> None:
        """Run what a stage lacks: here, in Ray Tune."""
        with ray_cluster() as cluster:
            self.interruption.listen()
            self.interruption.raise_if_requested()
            # Trials of a Ray that is not ours may run on other machines than this one.
            self.tracker.samples_system = cluster.owned
            on_event(self.planned(scheduler, cluster.slots))

            def on_step() -> None:
                on_event(Tick())
                if self.interruption.requested:
                    on_event(Stopping())
                    # Tune tidies up after an Exception only. In a Ray of our own that would only
                    # delay the end of every process.
                    raise KeyboardInterrupt if cluster.owned else InterruptedStudyError("stop")

            tune_trials(
                scheduler,
                recorder,
                on_step=on_step,
                cluster=cluster,
                data={trial.trial_id: self.places.folder(trial) for trial in scheduler.missing},
                storage=self.storage,
            )

    def planned(self, scheduler: StageScheduler, slots: int) -> Planned:
        """Return the event that says what is about to run."""
        trials = tuple(scheduler.trials.values())
        return Planned(self.study, trials, scheduler.missing, slots, stage=trials[0].stage)

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


def _ignore(event: Event) -> None:
    pass
