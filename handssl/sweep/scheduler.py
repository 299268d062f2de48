"""Early stopping: Ray's asynchronous halving, one state for each block, exempt cells left alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from handssl.sweep.plan import PlannedTrial
from handssl.sweep.study import Study

PRIMARY = "median_mm"


@dataclass(frozen=True)
class _Member:
    """All that Ray's scheduler reads of a trial; ours, so that its id survives a new Tuner."""

    trial_id: str


class BlockHalving(FIFOScheduler):  # type: ignore[misc]
    """Stop the weak trials of each block at its rungs, by the primary measure on `select`.

    Exempt trials and results that are not finite never enter a rung: the former always go on, the
    latter belong to a diverged trial, which ends by itself. Epochs are our own count, because
    Tune's starts again at 1 when a trial is continued.

    Args:
        study: Gives the rungs and the epochs of a full trial.
        trials: What is planned, the finished included.
    """

    def __init__(self, study: Study, trials: Iterable[PlannedTrial]) -> None:
        super().__init__()
        self._trials = {trial.trial_id: trial for trial in trials}
        self._blocks = {block: _asha(study) for block in study.blocks} if study.halving else {}

    def decide(self, trial_id: str, result: Mapping[str, Any]) -> str:
        """Decide on one epoch of one trial; also how a continued sweep replays earlier epochs.

        Args:
            trial_id: Of a planned trial.
            result: `epoch` and the primary measure.

        Returns:
            Tune's CONTINUE or STOP.
        """
        trial = self._trials[trial_id]
        asha = self._blocks.get(trial.block)
        if asha is None or trial.exempt or not _is_finite(result.get(PRIMARY)):
            return str(TrialScheduler.CONTINUE)
        member = _Member(trial_id)
        asha.on_trial_add(None, member)
        return str(asha.on_trial_result(None, member, dict(result)))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Tune's hook: decide on the trial that the actor was given."""
        return self.decide(trial.config["trial_id"], result)


def _asha(study: Study) -> Any:
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        metric=PRIMARY,
        mode="min",
        max_t=study.pretrain.epochs,
        grace_period=study.halving.grace_epochs if study.halving else 1,
        reduction_factor=study.halving.reduction_factor if study.halving else 2,
        stop_last_trials=False,
    )


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
