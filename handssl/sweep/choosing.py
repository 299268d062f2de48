"""What a stage's trials gave, and so what it chooses: from the ledger, running or not."""

from __future__ import annotations

import math

from handssl.sweep.scheduler import PRIMARY, StageScheduler
from handssl.sweep.stages import Finding, Selection, Selections, Stage
from handssl.sweep.study import Study
from handssl.tracking.ledger import Ledger


def choose(
    study: Study, stage: Stage, scheduler: StageScheduler, before: Selections, ledger: Ledger
) -> Selection:
    """Return what a stage has chosen from what the ledger holds of its trials.

    What the stage itself has stopped is stopped, though another stage or study may have trained
    it to the end: choices follow from the stage's log alone.

    Args:
        study: The study.
        stage: One of its stages.
        scheduler: Of that stage.
        before: What earlier stages have chosen.
        ledger: The record.
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
