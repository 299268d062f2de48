"""Selection of a stage, computed from the results of its trials in the ledger."""

from __future__ import annotations

import math

from handssl.sweep.scheduler import PRIMARY, StageScheduler
from handssl.sweep.stages import Finding, Selection, Selections, Stage
from handssl.sweep.study import Study
from handssl.tracking.ledger import Ledger


def choose(
    study: Study, stage: Stage, scheduler: StageScheduler, before: Selections, ledger: Ledger
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
            value, outcome = record.metrics.get(PRIMARY, math.nan), scheduler.outcome(record)
            found.append(Finding(cells[trial.cell], trial.block, outcome, record.epoch, value))
    return stage.select(found)
