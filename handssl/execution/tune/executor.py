"""Run of a stage's missing trials in Ray Tune, always with a new Tuner, never a restored one."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from handssl.errors import ClusterLostError, HandsslError, OtherCodeError, TakenOverError
from handssl.execution.cluster.local_ray import environment
from handssl.execution.cluster.version_check import versions
from handssl.execution.coordination import PeerCoordinator
from handssl.execution.datasets.staging import StagedDataset
from handssl.execution.recorder import Recorder
from handssl.execution.trial_claims import TrialClaims
from handssl.execution.tune.actor_failures import losses_end_trials
from handssl.execution.tune.searcher import TuneSearcher, TuneStopper
from handssl.execution.tune.trainable import TAKEN_OVER, PretrainTrainable
from handssl.execution.watchdog import SILENCE_FILE
from handssl.execution.worker_failures import describe_failure, meaning_of
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.resources import Cluster
from handssl.study.events import Outcome
from handssl.study.trials import PlannedTrial, StudyScheduler


@dataclass(frozen=True)
class StageContext:
    """Context that the parts of one stage's sweep share.

    Attributes:
        scheduler: Decides which trials train to which epoch.
        recorder: Records all results.
        hold: Holds the claims of trials.
        peers: Claims trials, and knows of other drivers.
        options: Execution options.
        data: Location of each trial's data for any node, by trial id.
        warm_starts: Folders of shorter runs that trials continue from, by trial id.
        storage: Folder of the results.
        on_step: Called several times a second; an error it raises ends the sweep.
        on_over: Called when a segment of a trial is over.
        require_ray: Raises an error if the cluster has ended; called before a lost trial counts as
            failed.
    """

    scheduler: StudyScheduler
    recorder: Recorder
    hold: TrialClaims
    peers: PeerCoordinator
    options: ExecutionOptions
    data: Mapping[str, StagedDataset]
    warm_starts: Mapping[str, Path]
    storage: Path
    on_step: Callable[[], None]
    on_over: Callable[[], None]
    require_ray: Callable[[], None] = lambda: None


class TuneReporter(tune.Callback):  # type: ignore[misc]
    """Tune callback that passes results to the recorder, in the driver, the only writer.

    Args:
        context: Context of the sweep.
        dispatch: Knows which trials are tried again.
    """

    def __init__(self, context: StageContext, dispatch: TuneSearcher) -> None:
        self._context, self._dispatch = context, dispatch
        self._scheduler, self._recorder = context.scheduler, context.recorder
        self._refusal = ""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record that an actor has started a segment of a trial."""
        planned = self._of(trial)
        with self._claimed():
            if not self._is_past(planned):
                self._recorder.start(planned)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Record an epoch; a trial that diverged or failed reports no metrics."""
        planned = self._of(trial)
        for text, again in result.get("notices", ()):
            self._recorder.notice(planned, text, again)
        if result.get("outcome") == TAKEN_OVER:
            self._context.hold.renew()  # notes which claims are lost
        lost = self._context.hold.is_lost(planned.trial_id)
        if result["metrics"] and not lost and not self._is_past(planned):
            epoch, metrics = result["epoch"], result["metrics"]
            seconds = float(result.get("time_this_iter_s", math.nan))
            entries = self._scheduler.entries(planned, epoch, metrics)
            with self._claimed():
                self._recorder.epoch(planned, epoch, metrics, seconds, entries)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record that a segment is over: the trial waits, has ended by itself, or was stopped."""
        with self._claimed():
            self._complete(self._of(trial), trial.last_result)
        self._let_go(self._of(trial))

    def _complete(self, planned: PlannedTrial, last: Mapping[str, Any]) -> None:
        outcome = last.get("outcome", "stopped")
        if self._is_past(planned):
            pass
        elif self._context.hold.is_lost(planned.trial_id):
            self._recorder.pause(planned)
        elif self._scheduler.is_cancelled(planned):  # also where it would have waited
            self._recorder.end(planned, "cancelled")
        elif outcome in ("waiting", TAKEN_OVER):
            self._recorder.pause(planned)
        elif outcome == "refused":
            self._refusal = last["message"]
            self._recorder.pause(planned)
        elif outcome != "stopped":
            self._end(planned, outcome, last.get("message", ""))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Handle a lost process: killed for its memory, with its node, or by the watchdog."""
        planned = self._of(trial)
        with self._claimed():
            self._lost(planned, _reason(trial, self._context))
        self._let_go(planned)

    def _lost(self, planned: PlannedTrial, reason: str) -> None:
        if self._is_past(planned):
            pass
        elif planned.trial_id in self._dispatch.over:
            self._context.require_ray()  # the end of the cluster is not an error of the trial
            self._end(planned, "failed", reason)
        elif self._context.hold.is_lost(planned.trial_id):
            self._recorder.pause(planned)
        else:
            self._recorder.notice(
                planned, f"{planned.cell}: {reason}; it is tried again in another process"
            )
            self._recorder.pause(planned)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Run the driver's own work after each step of Tune's controller.

        Raises:
            OtherCodeError: A node that joined later has other code than the driver.
        """
        if self._refusal:
            raise OtherCodeError(self._refusal)
        self._context.on_step()

    def _is_past(self, trial: PlannedTrial) -> bool:
        """Return whether a trial was cancelled or stopped while its segment was in Tune's queue."""
        return self._scheduler.is_over(trial) and not self._recorder.is_running(trial)

    def _end(self, trial: PlannedTrial, outcome: Outcome, message: str) -> None:
        self._recorder.end(trial, outcome, message)
        self._scheduler.ended(trial, outcome)

    def _let_go(self, trial: PlannedTrial) -> None:
        """Write the outcome of all newly stopped trials, and release this trial's claim."""
        with self._claimed():
            for stopped in self._scheduler.stopped():
                self._recorder.end(stopped, "stopped")
        self._context.hold.release(trial.trial_id)
        with self._claimed():
            self._context.on_over()

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Context for recording; if the claim was lost, note all lost claims and record nothing."""
        try:
            yield
        except TakenOverError:
            self._context.hold.renew()

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a restore, which never happens; ours refer to a terminal.
        return {}

    def _of(self, trial: Any) -> PlannedTrial:
        return self._scheduler.trials[trial.config["trial_id"]]


def _reason(trial: Any, context: StageContext) -> str:
    """Describe why a process ended, from the watchdog's file or from Ray's error."""
    silence = context.storage / "trials" / trial.config["trial_id"] / SILENCE_FILE
    if _text(silence):
        limit = f"no epoch ended within {context.options.hang_timeout_s:g} s"
        return f"{limit}, so its process was killed; {silence} shows where it was"
    error_text = _text(Path(trial.error_file)) if trial.error_file else ""
    return f"its process was lost ({describe_failure(error_text)})"


def _text(path: Path) -> str:
    """Return the content of a file; empty if it doesn't exist."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def tune_trials(context: StageContext, cluster: Cluster) -> None:
    """Run the missing trials of a stage in reused actors, until each trial has an outcome.

    Args:
        context: Context of the sweep.
        cluster: Number of trials that run at once, and their resources.
    """
    dispatch = TuneSearcher(
        context.scheduler,
        context.recorder,
        context.peers,
        queue=segments_in_tune(cluster, context.options.max_concurrent_trials),
        options=context.options,
    )
    while dispatch.next_wave():
        _one_wave(context, dispatch, cluster)


def segments_in_tune(cluster: Cluster, most: int | None) -> int:
    """Return how many segments of trials Tune has at a time, running or waiting for an actor.

    Twice as many as run at once, since resources limit those: the next waits for its actor
    meanwhile. A limit that leaves resources unused is kept here, where Tune cannot exceed it.

    Args:
        cluster: Number of trials that run at once.
        most: The user's limit of trials at the same time, if there is one.

    Example:
        >>> segments_in_tune(Cluster(slots=1, cpus=1, gpus=0.0, owned=True), most=1)
        1
    """
    queue = cluster.slots * (2 if cluster.workers == 1 else 1)
    return min(queue, most or queue)


def _one_wave(context: StageContext, dispatch: TuneSearcher, cluster: Cluster) -> None:
    # Tune needs a folder for its own state; ours is elsewhere, so this one is deleted.
    queue = {"TUNE_MAX_PENDING_TRIALS_PG": str(cluster.slots)}
    with environment(queue), tempfile.TemporaryDirectory(prefix="handssl-tune-") as scratch:
        tuner = tune.Tuner(
            _trainable(context, cluster),
            tune_config=tune.TuneConfig(
                search_alg=dispatch,
                num_samples=-1,
                scheduler=TuneStopper(context.scheduler, context.hold),
                reuse_actors=True,
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[TuneReporter(context, dispatch)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        _fit(tuner)


def _fit(tuner: Any) -> None:
    """Run the tuner; convert errors of Ray itself to ClusterLostError."""
    try:
        with losses_end_trials():
            tuner.fit()
    except HandsslError:
        raise
    except Exception as error:
        meaning = meaning_of(error)
        if meaning is None or meaning.kind in ("raised", "defect"):
            raise
        error_text = f"{meaning.words} ({type(error).__name__}: {error})"
        raise ClusterLostError(f"Ray cannot continue: {error_text}") from error


def _trainable(context: StageContext, cluster: Cluster) -> Any:
    """Return the class of the actors with their shared parameters and resources."""
    trainable = tune.with_parameters(
        PretrainTrainable,
        trials={trial.trial_id: trial for trial in context.scheduler.missing},
        data=context.data,
        warm_starts=context.warm_starts,
        storage=context.storage,
        threads=cluster.cpus,
        options=context.options,
        versions=versions(),
    )
    if cluster.workers > 1:
        # The actor only leads workers, which take the CPUs or GPUs; it runs beside the driver.
        return tune.with_resources(trainable, {"cpu": 0, "node:__internal_head__": 0.001})
    return tune.with_resources(trainable, {"cpu": cluster.cpus, "gpu": cluster.gpus})


def _folder_name(trial: Any) -> str:
    # A trial has several segments, so its id alone would not be unique.
    return f"{trial.config['trial_id']}-{trial.config['until']}-{trial.trial_id}"
