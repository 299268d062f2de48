"""Ray Tune over the trials that are missing: always a new Tuner, never a restored one."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from handssl.sweep.local_ray import Cluster
from handssl.sweep.plan import PlannedTrial
from handssl.sweep.recorder import Recorder
from handssl.sweep.scheduler import BlockHalving
from handssl.sweep.trainable import PretrainTrainable


class Bridge(tune.Callback):  # type: ignore[misc]
    """Hands what Tune's controller sees to the recorder, in the driver, the one writer.

    Args:
        trials: By trial_id.
        recorder: Writes.
        on_step: Called several times a second; what it raises ends the sweep.
    """

    def __init__(
        self, trials: dict[str, PlannedTrial], recorder: Recorder, on_step: Callable[[], None]
    ) -> None:
        self._trials, self._recorder, self._on_step = trials, recorder, on_step

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An actor has turned to a trial."""
        self._recorder.start(self._of(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch has ended; a trial that diverged or failed reports no metrics."""
        if result["metrics"]:
            seconds = float(result.get("time_this_iter_s", math.nan))
            self._recorder.epoch(self._of(trial), result["epoch"], result["metrics"], seconds)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial is over: by itself with an outcome, else the scheduler has stopped it."""
        last = trial.last_result
        self._recorder.end(self._of(trial), last.get("outcome", "stopped"), last.get("message", ""))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The actor itself is gone, e.g. killed for its memory."""
        lines = Path(trial.error_file).read_text(encoding="utf-8").strip().splitlines()
        self._recorder.end(self._of(trial), "failed", lines[-1] if lines else "its process ended")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """The controller went round once."""
        self._on_step()

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a restore, which never happens here; ours hold a terminal.
        return {}

    def _of(self, trial: Any) -> PlannedTrial:
        return self._trials[trial.config["trial_id"]]


def tune_trials(
    trials: tuple[PlannedTrial, ...],
    *,
    scheduler: BlockHalving,
    callback: Bridge,
    cluster: Cluster,
    data: Mapping[str, Path],
    storage: Path,
) -> None:
    """Run trials in reused actors until each has an outcome.

    Args:
        trials: What is missing, in the order in which to start.
        scheduler: Decides who goes on.
        callback: Is told everything.
        cluster: How many run at once, with what.
        data: Packed splits of each trial.
        storage: Where the trials keep their folders.
    """
    trainable = tune.with_parameters(
        PretrainTrainable,
        trials={trial.trial_id: trial for trial in trials},
        data=data,
        storage=storage,
        threads=cluster.cpus,
    )
    resources = {"cpu": cluster.cpus, "gpu": cluster.gpus}
    # Tune wants a folder for its own state; ours is elsewhere, so this one is thrown away.
    with tempfile.TemporaryDirectory(prefix="handssl-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(trainable, resources),
            param_space={"trial_id": tune.grid_search([trial.trial_id for trial in trials])},
            tune_config=tune.TuneConfig(
                scheduler=scheduler, reuse_actors=True, trial_dirname_creator=_folder_name
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                callbacks=[callback],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


def _folder_name(trial: Any) -> str:
    return str(trial.config["trial_id"])
