"""What a stage's trials gave, and so what it chooses: from the ledger, running or not."""

from __future__ import annotations

import math
from collections.abc import Iterable

from handssl.sweep.plan import PlannedTrial
from handssl.sweep.scheduler import PRIMARY
from handssl.sweep.stages import Finding, Selection, Selections, Stage
from handssl.sweep.study import Study
from handssl.tracking.ledger import Ledger


def choose(
    study: Study, stage: Stage, trials: Iterable[PlannedTrial], before: Selections, ledger: Ledger
) -> Selection:
    """Return what a stage has chosen from what the ledger holds of its trials.

    Args:
        study: The study.
        stage: One of its stages.
        trials: Of that stage.
        before: What earlier stages have chosen.
        ledger: The record.
    """
    cells = {cell.label: cell for cell in study.resolve(stage, before)}
    own = [trial for trial in trials if trial.stage == stage.name and trial.cell in cells]
    records = {r.trial_id: r for r in ledger.load_all([trial.trial_id for trial in own])}
    found = []
    for trial in own:
        if record := records.get(trial.trial_id):
            value = record.metrics.get(PRIMARY, math.nan)
            found.append(
                Finding(cells[trial.cell], trial.block, record.outcome, record.epoch, value)
            )
    return stage.select(found)
