"""Tune actor that trains one trial after another, one epoch per step."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from handssl.errors import ClusterLostError, DivergedError, OtherCodeError, TakenOverError
from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.execution.cluster.version_check import Versions
from handssl.execution.cluster.version_check import versions as own_versions
from handssl.execution.datasets.staging import StagedDataset, folder_here
from handssl.execution.trial_files import write_error
from handssl.execution.watchdog import watchdog
from handssl.planning.execution_options import ExecutionOptions
from handssl.runtime.fencing import Fence, held
from handssl.study.trials import PlannedTrial

LOOK_S = 1.0
TAKEN_OVER = "taken over"  # outcome of a segment whose folder another process has claimed
Result = dict[str, Any]
Rows = Iterator[tuple[int, dict[str, float]]]


class PretrainTrainable(tune.Trainable):  # type: ignore[misc]
    """Reused actor: `step` trains one epoch, `reset_config` switches to the next trial.

    Errors of a trial don't end the actor, since a new actor costs seconds: a trial that diverges or
    fails reports it in its last result. Trials keep their own checkpoints; Tune's are not used.
    """

    def setup(
        self,
        config: Result,
        *,
        trials: Mapping[str, PlannedTrial],
        data: Mapping[str, StagedDataset],
        storage: Path,
        threads: int,
        options: ExecutionOptions,
        warm_starts: Mapping[str, Path],
        versions: Versions,
    ) -> None:
        """Prepare the process once; heavy imports happen here, not in the driver.

        Args:
            config: The first segment: `trial_id`, the epochs it starts `after` and trains `until`,
                the `token` of its claim.
            trials: Planned trials, by id.
            data: Location of each trial's data, by trial id.
            storage: Folder of the results.
            threads: Number of CPU threads of this actor.
            options: Execution options.
            warm_starts: Folders of shorter runs that trials continue from, by trial id.
            versions: Versions of the driver, which this node must have too.
        """
        import torch

        from handssl.execution.tune.metrics_exporter import Exporter

        self._threads = options.execution.threads or threads
        torch.set_num_threads(self._threads)
        self._exporter = Exporter()
        # Names that the base class does not use; it has its own `_storage`.
        self._plan, self._places, self._trials_folder = trials, data, storage / "trials"
        self._options, self._warm_starts = options, warm_starts
        self._versions, self._own_versions = versions, own_versions()
        self._notices: list[tuple[str, int]] = []
        self._rows: Rows = iter(())
        self.reset_config(config)

    def reset_config(self, new_config: Result) -> bool:
        """Drop the current segment and switch to the next."""
        import torch

        self.cleanup()
        torch.set_num_threads(self._threads)  # a trial of the noise floor has its own number
        trial = self._plan[new_config["trial_id"]]
        self._trial, self._trial_folder = trial, self._trials_folder / trial.trial_id
        token = new_config.get("token")
        self._fence = Fence(self._trial_folder, token) if token else None
        self._epoch, self._epochs = 0, trial.epochs
        self._until = new_config["until"]
        self._rows = trial_results(
            trial,
            self._places[trial.trial_id],
            self._trial_folder,
            self._options,
            notices=self._notices,
            warm_start=self._warm_starts.get(trial.trial_id),
            fence=self._fence,
        )
        after = new_config["after"]
        self._results = (row for row in self._rows if row[0] > after)
        return True

    def cleanup(self) -> None:
        """End the workers of a segment that was stopped, if it has any."""
        if isinstance(self._rows, Generator):
            self._rows.close()

    def step(self) -> Result:
        """Train one epoch.

        Returns:
            `epoch`, `metrics`, the primary measure, and at the end `done` with an `outcome`, which
            is `waiting` if only the segment has ended, `refused` if nothing was trained because
            this node has other code than the driver, and `taken over` if it had to end because
            another process has claimed the trial.
        """
        try:
            return self._step()
        except TakenOverError as error:
            return self._ended(TAKEN_OVER, str(error))

    def _step(self) -> Result:
        try:
            self._versions.require(self._own_versions, socket.gethostname())
            with watchdog(self._trial_folder, self._options.hang_timeout_s, self._fence):
                self._epoch, metrics = next(self._results)
            _require_finite(metrics)
        except (ClusterLostError, TakenOverError):
            raise  # not an error of the trial
        except DivergedError as error:
            return self._ended("diverged", str(error))
        except OtherCodeError as error:
            return self._last("refused", str(error))
        except Exception as error:
            # After the folder was lost, an error is not a failure of the trial: this raises.
            write_error(self._trial_folder, self._fence)
            return self._ended("failed", f"{type(error).__name__}: {error}")
        result: Result = {"epoch": self._epoch, "metrics": metrics, "notices": self._taken()}
        result[PRIMARY_METRIC] = metrics.get(PRIMARY_METRIC, math.nan)
        self._exporter.epoch(self._trial, metrics)
        if self._epoch >= self._epochs:
            result |= {"done": True, "outcome": "completed"}
            self._exporter.ended(self._trial, "completed")
        elif self._epoch >= self._until:
            result |= {"done": True, "outcome": "waiting"}
        return result

    def _taken(self) -> list[tuple[str, int]]:
        taken, self._notices[:] = list(self._notices), []
        return taken

    def _ended(self, outcome: str, message: str) -> Result:
        if outcome != TAKEN_OVER:
            self._exporter.ended(self._trial, outcome)
        return self._last(outcome, message)

    def _last(self, outcome: str, message: str) -> Result:
        end = {"done": True, "outcome": outcome, "message": message}
        return {"epoch": self._epoch, "metrics": {}, PRIMARY_METRIC: math.nan, **end}


def trial_results(
    trial: PlannedTrial,
    data: Path | StagedDataset,
    folder: Path,
    options: ExecutionOptions | None = None,
    *,
    notices: list[tuple[str, int]] | None = None,
    warm_start: Path | None = None,
    fence: Fence | None = None,
) -> Rows:
    """Yield (epoch, metrics) of a trial, resumed from its folder; a reference yields once.

    Args:
        trial: The trial to compute.
        data: Folder of the packed splits, or their location for any node.
        folder: The trial's folder.
        options: Execution options.
        notices: List to which events of workers are appended: (message, steps to be repeated).
        warm_start: Folder of the same run with fewer epochs, to continue from.
        fence: Fence of the folder; a trial that another process has claimed ends.

    Raises:
        DivergedError: A loss was not finite.
        TakenOverError: Another process has claimed the folder.
    """
    options = options or ExecutionOptions()
    taken = [] if notices is None else notices
    if trial.kind != "trial":
        here = folder_here(data, lambda text: taken.append((text, 0)))
        measure = _probe if trial.needs else _reference
        yield 0, measure(trial, here, folder.absolute(), fence)
    elif options.workers == 1:
        from handssl.training import Trial

        here = folder_here(data, lambda text: taken.append((text, 0)))
        opened = Trial(
            trial.config,
            here,
            folder,
            execution=options.execution,
            warm_start=warm_start,
            fence=fence,
        )
        for result in opened.epochs(must_stop=loss_of(fence)):
            yield result.epoch, dict(result.metrics)
    else:
        yield from _together(trial, data, folder, options, taken, warm_start, fence)


def _together(
    trial: PlannedTrial,
    data: Path | StagedDataset,
    folder: Path,
    options: ExecutionOptions,
    notices: list[tuple[str, int]],
    warm_start: Path | None,
    fence: Fence | None,
) -> Rows:
    from handssl.execution.train.executor import train_together
    from handssl.execution.train.worker_scaling import Waiting

    waiting = Waiting(
        must_stop=loss_of(fence),
        on_tick=lambda: None,
        notify=lambda text, again: notices.append((text, again)),
        on_step=lambda done, total: None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    yield from train_together(
        trial.config,
        data,
        folder.absolute(),
        workers=options.workers,
        execution=options.execution,
        waiting=waiting,
        on_started=lambda: None,
        warm_start=warm_start,
        fence=fence,
    )


def loss_of(fence: Fence | None) -> Callable[[], bool]:
    """Return a function that checks, at most once per LOOK_S, whether a folder was lost.

    Args:
        fence: Fence of the folder; None: it is never lost.
    """
    looked_s, lost = -math.inf, False

    def is_lost() -> bool:
        nonlocal looked_s, lost
        if fence is not None and time.monotonic() - looked_s >= LOOK_S:
            looked_s, lost = time.monotonic(), fence.is_lost()
        return lost

    return is_lost


def _reference(
    trial: PlannedTrial, data: Path, folder: Path, fence: Fence | None
) -> dict[str, float]:
    from handssl.data.splits import StudyData
    from handssl.evaluation.references import measure_reference
    from handssl.training.kept_predictions import keep_in

    config, splits = trial.config, StudyData(data)
    return measure_reference(
        trial.kind,
        config.encoder,
        splits,
        seed=trial.block,
        augmentation=config.augmentation,
        init=config.init,
        storage=folder.parent.parent,
        keep=None if splits.is_cross else keep_in(folder, splits, fence),
    )


def _probe(trial: PlannedTrial, data: Path, folder: Path, fence: Fence | None) -> dict[str, float]:
    from handssl.data.splits import StudyData
    from handssl.training.downstream import measure_probe

    with held(fence):
        folder.mkdir(parents=True, exist_ok=True)
    encoder = folder.parent / trial.needs
    return measure_probe(trial.kind, trial.config, encoder, StudyData(data))


def _require_finite(metrics: Mapping[str, float]) -> None:
    broken = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if broken:
        raise DivergedError(f"not finite: {', '.join(broken)}")
