"""What runs inside a Tune actor: one trial after another, one epoch a step."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from handssl.errors import DivergedError
from handssl.sweep.plan import PlannedTrial
from handssl.sweep.scheduler import PRIMARY

Result = dict[str, Any]


class PretrainTrainable(tune.Trainable):  # type: ignore[misc]
    """A reused actor: `step` is one epoch, `reset_config` is the next trial.

    Nothing a trial does ends the actor: a trial that diverges or fails says so in its last result,
    since a new actor costs seconds. Trials keep their own checkpoints; Tune's are not used.
    """

    def setup(
        self,
        config: Result,
        *,
        trials: Mapping[str, PlannedTrial],
        data: Mapping[str, Path],
        storage: Path,
        threads: int,
    ) -> None:
        """Prepare the process once; heavy imports happen here, not in the driver.

        Args:
            config: The first segment: `trial_id`, the epochs it begins `after` and trains `until`.
            trials: The plan.
            data: Packed splits of each trial.
            storage: Where trials have their folders.
            threads: CPUs of this actor.
        """
        import torch

        torch.set_num_threads(threads)
        # Names that the base class does not use; it has a `_storage` of its own.
        self._plan, self._places, self._trials_folder = trials, data, storage / "trials"
        self.reset_config(config)

    def reset_config(self, new_config: Result) -> bool:
        """Drop the segment at hand and turn to the next."""
        trial = self._plan[new_config["trial_id"]]
        self._trial_folder = self._trials_folder / trial.trial_id
        self._epoch, self._epochs = 0, trial.epochs
        self._until = new_config["until"]
        results = trial_results(trial, self._places[trial.trial_id], self._trial_folder)
        after = new_config["after"]
        self._results = (row for row in results if row[0] > after)
        return True

    def step(self) -> Result:
        """Train one epoch.

        Returns:
            `epoch`, `metrics`, the primary measure, and at the end `done` with an `outcome`, which
            is `waiting` where only the segment has ended.
        """
        try:
            self._epoch, metrics = next(self._results)
            _require_finite(metrics)
        except DivergedError as error:
            return self._ended("diverged", str(error))
        except Exception as error:
            self._trial_folder.mkdir(parents=True, exist_ok=True)
            file = self._trial_folder / "error.txt"
            file.write_text(traceback.format_exc(), encoding="utf-8")
            return self._ended("failed", f"{type(error).__name__}: {error}")
        result: Result = {"epoch": self._epoch, "metrics": metrics}
        result[PRIMARY] = metrics.get(PRIMARY, math.nan)
        if self._epoch >= self._epochs:
            result |= {"done": True, "outcome": "completed"}
        elif self._epoch >= self._until:
            result |= {"done": True, "outcome": "waiting"}
        return result

    def _ended(self, outcome: str, message: str) -> Result:
        end = {"done": True, "outcome": outcome, "message": message}
        return {"epoch": self._epoch, "metrics": {}, PRIMARY: math.nan, **end}


def trial_results(
    trial: PlannedTrial, data: Path, folder: Path
) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield (epoch, metrics) of a trial, continuing it from its folder; a reference yields once.

    Args:
        trial: What to compute.
        data: Packed splits.
        folder: The trial's own.

    Raises:
        DivergedError: A loss was not finite.
    """
    if trial.kind == "trial":
        from handssl.training import Execution, Trial

        for result in Trial(trial.config, data, folder, execution=Execution()).epochs():
            yield result.epoch, dict(result.metrics)
    else:
        yield 0, _reference(trial, data)


def _reference(trial: PlannedTrial, data: Path) -> dict[str, float]:
    from handssl.data.study_data import StudyData
    from handssl.evaluation.references import mean_pose, random_encoder

    splits = StudyData(data)
    if trial.kind == "mean_pose":
        return mean_pose(splits)
    config = trial.config
    return random_encoder(
        config.encoder, splits, seed=trial.block, augmentation=config.augmentation
    )


def _require_finite(metrics: Mapping[str, float]) -> None:
    broken = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if broken:
        raise DivergedError(f"not finite: {', '.join(broken)}")
