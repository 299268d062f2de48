"""Outcomes of a stage's trials by its own scheduler, and the means that its selection compares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.planning.noise import first_noise, measured_floors, with_noise
from handssl.planning.trained_encoders import with_encoders
from handssl.stats.cell_means import adjusted_means
from handssl.study.stages import Finding, Selection, Selections, Stage
from handssl.study.stages.findings import compared
from handssl.study.study import Study
from handssl.study.trials import SUPERVISED, PlannedTrial, StudyScheduler, stage_scheduler

Records = Mapping[str, TrialRecord]


def judged(study: Study, stage: str, trials: Sequence[PlannedTrial], ledger: Ledger) -> Records:
    """Return the records of a stage's trials with the outcomes that they have in this stage.

    A trial that the stage has stopped counts as stopped, even if another stage or study has trained
    it to the end, as in `handssl.execution.stage_outcomes`.

    Args:
        study: The study.
        stage: Name of the stage.
        trials: Trials of the stage.
        ledger: Ledger of the storage.
    """
    scheduler = stage_scheduler(study, stage, trials, ledger, log_only=True)
    found = ledger.load_all([trial.trial_id for trial in trials])
    return {
        record.trial_id: record.model_copy(update={"outcome": scheduler.outcome(record)})
        for record in found
    }


def compared_means(
    study: Study, stage: str, trials: Sequence[PlannedTrial], records: Records
) -> dict[str, float]:
    """Return the means that a stage compares: of its own connected cells, adjusted for blocks.

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
        mm = record.metrics.get(PRIMARY_METRIC, math.nan) if record else math.nan
        if record and record.outcome == "completed" and math.isfinite(mm):
            group = trial.objective if is_search else ""
            values.setdefault(group, {}).setdefault(trial.cell, {})[trial.block] = mm
    return {label: mm for own in values.values() for label, mm in adjusted_means(own).items()}


def _compared(study: Study, stage: str, trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """Return the trials of the stage's own cells among which its best is chosen."""
    one = _stage(study, stage)
    # References are in the first stage, which needs no other.
    own = bool(one.needs) or SUPERVISED.label in {cell.label for cell in one.cells({})}
    found = [t for t in trials if t.kind == "trial" and (own or t.cell != SUPERVISED.label)]
    return compared(found, lambda trial: trial.objective)


def _stage(study: Study, name: str) -> Stage:
    return next(stage for stage in study.all_stages if stage.name == name)


def choose(
    study: Study, stage: Stage, scheduler: StudyScheduler, before: Selections, ledger: Ledger
) -> Selection:
    """Return the selection of a stage from the records of its trials in the ledger.

    A trial that the stage itself has stopped counts as stopped, even if another stage or study has
    trained it to the end: selections follow from the stage's log alone.

    Args:
        study: The study.
        stage: One of its stages.
        scheduler: Scheduler of that stage.
        before: Selections of earlier stages.
        ledger: Ledger of the storage.
    """
    cells = {cell.label: cell for cell in study.resolve(stage, before)}
    own = [t for t in scheduler.trials.values() if t.stage == stage.name and t.cell in cells]
    records = {r.trial_id: r for r in ledger.load_all([trial.trial_id for trial in own])}
    found = []
    for trial in own:
        if record := records.get(trial.trial_id):
            value, outcome = record.metrics.get(PRIMARY_METRIC, math.nan), scheduler.outcome(record)
            found.append(Finding(cells[trial.cell], trial.block, outcome, record.epoch, value))
    floors, first = measured_floors(ledger, study.name), ledger.studies.plan(study.name)
    selection = stage.decide(with_noise(found, floors, first_noise(first)), before)
    return with_encoders(selection, study, own, ledger.storage)
