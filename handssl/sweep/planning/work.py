"""What is left to be trained, stage by stage, each trial counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handssl.sweep.plan import PlannedTrial
from handssl.sweep.planning.epochs import mean_epochs, reaching
from handssl.sweep.planning.foreseen import ForeseenStage, Records, is_over
from handssl.sweep.study import Study


@dataclass(frozen=True)
class StageWork:
    """A stage and what it still asks for.

    Attributes:
        foreseen: The stage.
        finished: Its trials that the ledger has finished, references included.
        shared: Its trials that an earlier stage of the study also asks for.
        rungs: Epoch to the number of trials that reach it.
        left: Each trial with the epochs that it still trains, beyond what others have trained.
    """

    foreseen: ForeseenStage
    finished: int
    shared: int
    rungs: dict[int, float]
    left: tuple[tuple[PlannedTrial, float], ...]

    @property
    def epochs(self) -> float:
        """Epochs still to be trained."""
        return sum(epochs for _, epochs in self.left)

    @property
    def cells(self) -> tuple[str, ...]:
        """Labels of its cells, in order; references are none."""
        return tuple(dict.fromkeys(trial.cell for trial in self.foreseen.trained))


def work_of(
    study: Study, stages: Sequence[ForeseenStage], records: Records
) -> tuple[StageWork, ...]:
    """Return the work of every stage.

    Args:
        study: The study.
        stages: Foreseen.
        records: What the ledger knows.
    """
    trained: dict[str, float] = {}
    found = []
    for stage in stages:
        rules = stage.rules(study)
        mean = mean_epochs(stage.arms, rules)
        left, shared = [], 0
        for trial in stage.trained:
            shared += trial.trial_id in trained
            done = trained.get(trial.trial_id, _recorded(trial, records))
            left.append((trial, max(0.0, mean[trial.trial_id] - done)))
            trained[trial.trial_id] = max(done, mean[trial.trial_id])
        finished = sum(is_over(records.get(trial.trial_id), study) for trial in stage.trials)
        rungs = reaching(stage.arms, rules)
        found.append(StageWork(stage, finished, shared, rungs, tuple(left)))
    return tuple(found)


def _recorded(trial: PlannedTrial, records: Records) -> float:
    """Return the epochs that need no training any more: all of them where the trial is over."""
    record = records.get(trial.trial_id)
    if record is None:
        return 0.0
    return float(trial.epochs if record.outcome in ("completed", "diverged") else record.epoch)
