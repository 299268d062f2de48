"""Remaining training work per stage, each trial counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handssl.planning.epochs import epochs_left, reaching
from handssl.planning.planned_trials import PlannedStage, Records, is_over
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial


@dataclass(frozen=True)
class StageWork:
    """A stage and its remaining work.

    Attributes:
        planned: The planned stage.
        finished: Number of its trials that are over in the ledger, references included.
        shared: Number of its trials that an earlier stage of the study also includes.
        rungs: Expected number of trials that reach each rung, by epoch.
        left: (trial, epochs that it still trains beyond those of earlier stages).
    """

    planned: PlannedStage
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
        """Labels of its cells, in order, without references."""
        return tuple(dict.fromkeys(trial.cell for trial in self.planned.trained))


def work_of(
    study: Study, stages: Sequence[PlannedStage], records: Records
) -> tuple[StageWork, ...]:
    """Return the work of every stage.

    Args:
        study: The study.
        stages: The planned stages.
        records: Records of the ledger, by trial id.
    """
    planned: dict[str, float] = {}
    found = []
    for stage in stages:
        wanted = _wanted(study, stage, records)
        # Epochs that an earlier stage will train are not counted again.
        left = [
            (t, max(0.0, wanted[t.trial_id] - planned.get(t.trial_id, 0.0))) for t in stage.trained
        ]
        shared = sum(trial.trial_id in planned for trial in stage.trained)
        planned |= {name: max(n, planned.get(name, 0.0)) for name, n in wanted.items()}
        finished = sum(is_over(records.get(trial.trial_id), study) for trial in stage.trials)
        rungs = reaching(stage.arms, stage.rules(study))
        found.append(StageWork(stage, finished, shared, rungs, tuple(left)))
    return tuple(found)


def _wanted(study: Study, stage: PlannedStage, records: Records) -> dict[str, float]:
    """Return the epochs per trial that a stage needs by itself."""
    known = {t.trial_id: records[t.trial_id] for t in stage.trained if t.trial_id in records}
    over = {name for name, record in known.items() if is_over(record, study)}
    return epochs_left(
        stage.arms,
        stage.rules(study),
        {name: float(record.epoch) for name, record in known.items()},
        over=over,
        stopped={name for name in over if known[name].outcome == "stopped"},
    )
