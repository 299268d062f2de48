"""Outcomes of a stage's trials by its own scheduler, and the means that its selection compares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from handssl.sweep.plan import SUPERVISED, PlannedTrial
from handssl.sweep.scheduler import PRIMARY, StageScheduler
from handssl.sweep.stages import Stage
from handssl.sweep.stages.means import adjusted_means
from handssl.sweep.study import Study
from handssl.tracking.ledger import Ledger, LogEntry
from handssl.tracking.record import TrialRecord

Records = Mapping[str, TrialRecord]


def judged(study: Study, stage: str, trials: Sequence[PlannedTrial], ledger: Ledger) -> Records:
    """Return the records of a stage's trials with the outcomes that they have in this stage.

    A trial that the stage has stopped counts as stopped, even if another stage or study has trained
    it to the end, as in `handssl.sweep.choosing`.

    Args:
        study: The study.
        stage: Name of the stage.
        trials: Trials of the stage.
        ledger: Ledger of the storage.
    """
    scheduler = _OfTheLog(study, stage, tuple(trials), ledger, looking=True)
    found = ledger.load_all([trial.trial_id for trial in trials])
    return {
        record.trial_id: record.model_copy(update={"outcome": scheduler.outcome(record)})
        for record in found
    }


class _OfTheLog(StageScheduler):
    """Scheduler that reads only the log, since reading all epochs of all trials takes seconds."""

    def _known(self, trial_ids: Sequence[str]) -> list[LogEntry]:
        return []


def compared_means(
    study: Study, stage: str, trials: Sequence[PlannedTrial], records: Records
) -> dict[str, float]:
    """Return the means that a stage compares: of its own cells, adjusted for missing blocks.

    A hyperparameter search selects per objective, so means are adjusted per objective.

    Args:
        study: The study.
        stage: Name of the stage.
        trials: Trials of the stage.
        records: Their records, as returned by `judged`.

    Returns:
        Means in mm, by cell; without cells that have no mean.
    """
    values: dict[str, dict[str, dict[int, float]]] = {}
    is_search = _stage(study, stage).kind == "hyperparameters"
    for trial in _compared(study, stage, trials):
        record = records.get(trial.trial_id)
        mm = record.metrics.get(PRIMARY, math.nan) if record else math.nan
        if record and record.outcome == "completed" and math.isfinite(mm):
            group = trial.objective if is_search else ""
            values.setdefault(group, {}).setdefault(trial.cell, {})[trial.block] = mm
    return {label: mm for own in values.values() for label, mm in adjusted_means(own).items()}


def _compared(study: Study, stage: str, trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """Return the trials of the stage's own cells, without the references."""
    one = _stage(study, stage)
    # References are in the first stage, which needs no other.
    own = bool(one.needs) or SUPERVISED.label in {cell.label for cell in one.cells({})}
    return [t for t in trials if t.kind == "trial" and (own or t.cell != SUPERVISED.label)]


def _stage(study: Study, name: str) -> Stage:
    return next(stage for stage in study.all_stages if stage.name == name)
