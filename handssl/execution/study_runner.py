"""Run of a study: prepares data, runs missing trials in Ray Tune, returns all records."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from handssl.errors import BusyStudyError, InterruptedStudyError, PausedStudyError, TakenOverError
from handssl.execution.checkpoint_mirror.disk_budget import Budget
from handssl.execution.cluster.local_ray import ray_cluster
from handssl.execution.cluster.version_check import require_same_everywhere
from handssl.execution.cluster.watch import Watch, watching
from handssl.execution.coordination import PeerCoordinator
from handssl.execution.datasets.resolver import DatasetResolver
from handssl.execution.initial_weights import keep_encoders, with_initial_weights
from handssl.execution.recorder import FINISHED, Recorder
from handssl.execution.result import StudyResult
from handssl.execution.stage_outcomes import choose
from handssl.execution.stage_summary import stage_view
from handssl.execution.storage import default_tracking_uri, locked, resolve_storage
from handssl.execution.trial_claims import TrialClaims
from handssl.execution.tune.executor import StageContext, tune_trials
from handssl.execution.warm_starts import warm_starts
from handssl.ledger import Ledger
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.preregistration import is_single
from handssl.planning.preregistration import keep as keep_plan
from handssl.planning.resources import Cluster, shared
from handssl.runtime.interruption import Interruption
from handssl.runtime.retry import RetryPolicy
from handssl.runtime.secrets import require_no_secret
from handssl.runtime.shell_commands import command
from handssl.study.events import Event, OnEvent, Planned, Selected, Stopping, StudyMessage, Tick
from handssl.study.extension import as_first_planned, describe_extension, extended
from handssl.study.stages import Selection, Stage
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, StudyScheduler, plan_stage, stage_scheduler
from handssl.tracking.tracker import MlflowTracker


def run(
    study: Study,
    *,
    storage: Path | str | None = None,
    tracking_uri: str | None = None,
    options: ExecutionOptions | None = None,
    on_event: OnEvent | None = None,
    interruption: Interruption | None = None,
) -> StudyResult:
    """Run the trials of a study that no earlier run has finished, in this process.

    The end of Ray may end this process: `handssl.execution.api.run`, which users call, runs this
    in a process of its own. Arguments, result and errors are described there.
    """
    folder = resolve_storage(storage)
    with locked(folder, shared=True), interruption or Interruption() as interruption:
        study = with_initial_weights(study, folder)
        sweep = Sweep(study, folder, tracking_uri or default_tracking_uri(folder), interruption)
        sweep.options = options or ExecutionOptions()
        sweep.obey(on_event or _ignore)
        return sweep.until_interrupted(on_event or _ignore)


class Sweep:
    """One call of `run`.

    Args:
        study: The study to run.
        storage: Folder of the results.
        tracking_uri: MLflow store.
        interruption: Checked to decide whether to stop.
    """

    def __init__(
        self, study: Study, storage: Path, tracking_uri: str, interruption: Interruption
    ) -> None:
        require_no_secret("tracking_uri", tracking_uri)
        self.study, self.storage, self.tracking_uri = study, storage, tracking_uri
        self.interruption, self.interrupted, self.ended_by = interruption, False, "time"
        self.options = ExecutionOptions()
        self.store = Ledger(storage)
        self.trials: tuple[PlannedTrial, ...] = ()
        self.selections: dict[str, Selection] = {}

    def obey(self, on_event: OnEvent) -> None:
        """Apply the requests made to the study before it ran: pause and extension.

        Raises:
            PausedStudyError: The study is paused.
        """
        asked = self.store.asked(self.study.name)
        if asked.paused:
            go_on = command("study", "resume", self.study.name, storage=self.storage)
            raise PausedStudyError(f"study {self.study.name} is paused; resume it with `{go_on}`")
        known = as_first_planned(self.study, self.store.studies.plan(self.study.name))
        study = extended(known, asked)
        if study != known:
            on_event(StudyMessage(f"extended: {describe_extension(asked)}"))
        self.study = study

    def until_interrupted(self, on_event: OnEvent) -> StudyResult:
        """Run the study until it is over or interrupted; return the result so far."""
        must_stop, notify = (
            (lambda: self.interruption.requested),
            (lambda text: on_event(StudyMessage(text))),
        )
        self.store.be_patient(RetryPolicy(notify, must_stop))
        try:
            with self._hold() as self.hold:
                self.run(on_event)
        except (KeyboardInterrupt, InterruptedStudyError):
            self.interrupted = True
        except TakenOverError as error:
            self.interrupted, self.ended_by = True, "another driver"
            on_event(StudyMessage(str(error)))
        return self.result()

    def _hold(self) -> TrialClaims:
        name, patience_s = self.study.name, self.options.patience_s
        try:
            with self.interruption.at_once():
                return TrialClaims(self.store.claims, name, patience_s=patience_s)
        except BusyStudyError as error:
            listing = command("study", "status", name, storage=self.storage)
            raise BusyStudyError(f"{error}, or see its progress with `{listing}`") from None

    def run(self, on_event: OnEvent) -> None:
        """Run everything that is missing, stage after stage."""
        with self.interruption.at_once():
            self.places = DatasetResolver(self.study, self.storage, on_event)
            self.places.plan = keep_plan(self.study, self.storage, self.store, on_event)
            stages = self.study.all_stages
            self.trials = tuple(
                trial
                for stage in stages
                if not self.study.needs(stage)
                for trial in plan_stage(self.study, stage, {}, self.places.fingerprint)
            )
        recorder = Recorder(self.study, self.store, self.tracker, on_event, self.places.tags)
        self.tracker.catch_up()
        try:
            for stage in stages:
                if not self._can_choose_from(self.study.needs(stage)):
                    break
                self._run_stage(stage, recorder, on_event)
        finally:
            recorder.close()
            self.tracker.close(complete=self._is_complete())

    def _run_stage(self, stage: Stage, recorder: Recorder, on_event: OnEvent) -> None:
        with self.interruption.at_once():
            trials = plan_stage(self.study, stage, self.selections, self.places.fingerprint)
            if stage.takes_encoders:
                keep_encoders([one.config for one in trials], self.storage)
        others = [trial for trial in self.trials if trial.stage != stage.name]
        self.trials = (*others, *trials)
        scheduler = stage_scheduler(self.study, stage.name, trials, self.store)
        for trial in scheduler.stopped():
            if scheduler.outcomes.get(trial.trial_id) not in FINISHED:
                recorder.end(trial, "stopped")
        peers = PeerCoordinator(
            scheduler, recorder, self.hold, self.store, self.study.name, on_event
        )
        peers.refresh()
        self._show(stage, trials)
        if scheduler.missing:
            self.peers = peers
            self.execute(scheduler, recorder, on_event)
        else:
            on_event(Planned(self.study, trials, (), slots=1, stage=stage.name))
        chosen = choose(self.study, stage, scheduler, self.selections, self.store)
        self.selections[stage.name] = chosen
        self._show(stage, trials, chosen)
        on_event(Selected(chosen))

    def _show(
        self, stage: Stage, trials: tuple[PlannedTrial, ...], chosen: Selection | None = None
    ) -> None:
        """Show the stage as a whole in MLflow, unless the study is a single pretraining."""
        if not is_single(self.study):
            self.tracker.show_stage(stage_view(self.study, stage.name, trials, self.store, chosen))

    def _is_complete(self) -> bool:
        """Return whether every stage has a selection and no trial has failed."""
        everything = len(self.selections) == len(self.study.all_stages)
        return everything and self._can_choose_from(tuple(self.selections))

    def _can_choose_from(self, needed: tuple[str, ...]) -> bool:
        """Return whether no trial of these stages has failed, as later selections require."""
        asked = [trial.trial_id for trial in self.trials if trial.stage in needed]
        return all(record.outcome != "failed" for record in map(self.store.load, asked) if record)

    def execute(self, scheduler: StudyScheduler, recorder: Recorder, on_event: OnEvent) -> None:
        """Run the missing trials of a stage, here in Ray Tune."""
        options = shared(self.options, [trial.config for trial in scheduler.missing])
        with (
            ray_cluster(options.address, options=options) as cluster,
            watching(owned=cluster.owned) as watch,
        ):
            self.interruption.listen()
            self.interruption.raise_if_requested()
            if not cluster.owned:
                require_same_everywhere()
            # Trials on a Ray that is not ours may run on other machines than this one.
            self.tracker.samples_system = cluster.owned
            planned = self.planned(scheduler, cluster)
            recorder.devices = planned.devices
            on_event(planned)
            budget = Budget(self.storage, self.options.checkpoint_bytes, scheduler, self.store)
            context = StageContext(
                scheduler,
                recorder,
                self.hold,
                self.peers,
                options,
                data={trial.trial_id: self.places.located(trial) for trial in scheduler.missing},
                warm_starts=warm_starts(scheduler.missing, self.store),
                storage=self.storage,
                on_step=lambda: self._on_watched_step(on_event, watch, owned=cluster.owned),
                require_ray=watch.require_now,
                on_over=budget.keep,
            )
            tune_trials(context, cluster)
            self._require_over(scheduler, on_event)

    def _require_over(self, scheduler: StudyScheduler, on_event: OnEvent) -> None:
        """End the run if a stage is not over, whatever the reason: it can't have a selection."""
        if left := scheduler.unfinished:
            self.ended_by = "missing trials"
            named = f"{left[0].cell}, block {left[0].block}"
            on_event(StudyMessage(f"{len(left)} trials are not over, the first is {named}"))
            raise InterruptedStudyError("trials are not over")

    def _on_watched_step(self, on_event: OnEvent, watch: Watch, *, owned: bool) -> None:
        watch.require()
        self._on_step(on_event, owned=owned)

    def _on_step(self, on_event: OnEvent, *, owned: bool) -> None:
        on_event(Tick())
        self.peers.poll()
        taken, paused = self.hold.is_study_lost, self.peers.is_paused
        if taken:
            on_event(
                StudyMessage(
                    "another driver has taken the study over: this one was silent too long"
                )
            )
        if self.interruption.requested or taken or paused:
            self.ended_by = "another driver" if taken else "pause" if paused else "time"
            on_event(Stopping())
            # Tune cleans up after an Exception only. In a local Ray that would only delay
            # the end of every process.
            raise KeyboardInterrupt if owned else InterruptedStudyError("stop")

    def planned(self, scheduler: StudyScheduler, cluster: Cluster) -> Planned:
        """Return the event that describes the trials about to run."""
        trials = tuple(scheduler.trials.values())
        return Planned(
            self.study,
            trials,
            scheduler.missing,
            cluster.slots,
            stage=trials[0].stage,
            devices=(cluster.gpus or 1.0) * cluster.workers,
            device="GPU" if cluster.gpus else "core",
        )

    def result(self) -> StudyResult:
        """Return the result with all records of this plan."""
        # A trial of two stages is one trial.
        names = dict.fromkeys(trial.trial_id for trial in self.trials)
        records = tuple(filter(None, map(self.store.load, names)))
        return StudyResult(
            self.study,
            self.storage,
            self.tracking_uri,
            records,
            len(names),
            selections=tuple(self.selections.values()),
            interrupted=self.interrupted,
            stopped_by=self._stopped_by() if self.interrupted else "",
        )

    def _stopped_by(self) -> str:
        return self.interruption.signal.name if self.interruption.signal else self.ended_by

    @cached_property
    def tracker(self) -> MlflowTracker:
        """MLflow, opened when it is first needed."""
        return MlflowTracker(self.tracking_uri, self.study.name, self.store)


def _ignore(event: Event) -> None:
    pass
