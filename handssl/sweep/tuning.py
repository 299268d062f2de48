"""Ray Tune over the trials that are missing: always a new Tuner, never a restored one."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from handssl.sweep.dispatch import Dispatch, Judge
from handssl.sweep.events import Outcome
from handssl.sweep.local_ray import Cluster, environment
from handssl.sweep.plan import PlannedTrial
from handssl.sweep.recorder import Recorder
from handssl.sweep.scheduler import StageScheduler
from handssl.sweep.trainable import PretrainTrainable


class Bridge(tune.Callback):  # type: ignore[misc]
    """Hands what Tune's controller sees to the recorder, in the driver, the one writer.

    Args:
        scheduler: Of the stage.
        recorder: Writes.
        on_step: Called several times a second; what it raises ends the sweep.
    """

    def __init__(
        self, scheduler: StageScheduler, recorder: Recorder, on_step: Callable[[], None]
    ) -> None:
        self._scheduler, self._recorder, self._on_step = scheduler, recorder, on_step

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An actor has turned to a segment of a trial."""
        self._recorder.start(self._of(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch has ended; a trial that diverged or failed reports no metrics."""
        if result["metrics"]:
            planned, epoch, metrics = self._of(trial), result["epoch"], result["metrics"]
            seconds = float(result.get("time_this_iter_s", math.nan))
            entries = self._scheduler.entries(planned, epoch, metrics)
            self._recorder.epoch(planned, epoch, metrics, seconds, entries)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A segment is over: the trial waits, has ended by itself, or was stopped."""
        planned, last = self._of(trial), trial.last_result
        outcome = last.get("outcome", "stopped")
        if outcome == "waiting":
            self._recorder.pause(planned)
        elif outcome != "stopped":
            self._end(planned, outcome, last.get("message", ""))
        self._end_stopped()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The actor itself is gone, e.g. killed for its memory."""
        lines = Path(trial.error_file).read_text(encoding="utf-8").strip().splitlines()
        self._end(self._of(trial), "failed", lines[-1] if lines else "its process ended")
        self._end_stopped()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """The controller went round once."""
        self._on_step()

    def _end(self, trial: PlannedTrial, outcome: Outcome, message: str) -> None:
        self._recorder.end(trial, outcome, message)
        self._scheduler.ended(trial, outcome)

    def _end_stopped(self) -> None:
        """Write the outcome of all that the last news has stopped."""
        for trial in self._scheduler.stopped():
            self._recorder.end(trial, "stopped")

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a restore, which never happens here; ours hold a terminal.
        return {}

    def _of(self, trial: Any) -> PlannedTrial:
        return self._scheduler.trials[trial.config["trial_id"]]


def tune_trials(
    scheduler: StageScheduler,
    recorder: Recorder,
    *,
    on_step: Callable[[], None],
    cluster: Cluster,
    data: Mapping[str, Path],
    storage: Path,
) -> None:
    """Run what a stage lacks in reused actors, until each trial has an outcome.

    Args:
        scheduler: Decides who trains how far.
        recorder: Is told everything.
        on_step: Called several times a second.
        cluster: How many run at once, with what.
        data: Packed splits of each trial.
        storage: Where the trials keep their folders.
    """
    trainable = tune.with_parameters(
        PretrainTrainable,
        trials={trial.trial_id: trial for trial in scheduler.missing},
        data=data,
        storage=storage,
        threads=cluster.cpus,
    )
    resources = {"cpu": cluster.cpus, "gpu": cluster.gpus}
    # Tune wants a folder for its own state; ours is elsewhere, so this one is thrown away.
    queue = {"TUNE_MAX_PENDING_TRIALS_PG": str(cluster.slots)}
    with environment(queue), tempfile.TemporaryDirectory(prefix="handssl-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=Dispatch(scheduler, recorder, cluster.slots),
                num_samples=-1,
                scheduler=Judge(scheduler),
                reuse_actors=True,
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[Bridge(scheduler, recorder, on_step)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


def _folder_name(trial: Any) -> str:
    # A trial has several segments, so its id alone would not be unique.
    return f"{trial.config['trial_id']}-{trial.config['until']}-{trial.trial_id}"
