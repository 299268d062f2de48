"""The trials of every stage, those included that follow from choices nobody has made yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from handssl.data.config import DataConfig
from handssl.sweep.halving import Arm, Rules
from handssl.sweep.plan import PlannedTrial, plan_stage
from handssl.sweep.scheduler import PRIMARY
from handssl.sweep.stages import Finding, Selection, Selections, Stage
from handssl.sweep.stages.stand_in import stand_in
from handssl.sweep.study import Study
from handssl.tracking.record import TrialRecord

Records = dict[str, TrialRecord]


@dataclass(frozen=True)
class ForeseenStage:
    """A stage, its cells being known or stood in for.

    Attributes:
        stage: Which.
        trials: All of them.
        known: Whether all choices it follows from have been made.
        exact: Whether its number of cells is sure; else it is the most there can be.
    """

    stage: Stage
    trials: tuple[PlannedTrial, ...]
    known: bool
    exact: bool

    @property
    def trained(self) -> tuple[PlannedTrial, ...]:
        """Its trials without the references that train nothing."""
        return tuple(trial for trial in self.trials if trial.kind == "trial")

    @property
    def arms(self) -> list[Arm]:
        """What halving decides on."""
        return [Arm(t.trial_id, t.block, t.exempt, t.epochs) for t in self.trained]

    def rules(self, study: Study) -> Rules | None:
        """Return how its trials are decided on."""
        return study.halving.rules(study.pretrain.epochs) if study.halving else None


def foresee(
    study: Study, fingerprint_of: Callable[[DataConfig], str], records: Records
) -> tuple[ForeseenStage, ...]:
    """Return every stage of a study.

    Where a choice is missing, another stands in that leads to as many cells: transformations with
    parameters on the relative objective, the largest composition as the best cell.

    Args:
        study: The study.
        fingerprint_of: Gives the fingerprint of a dataset, or a stand-in.
        records: What the ledger knows, by trial id.
    """
    chosen: dict[str, Selection] = {}
    made: set[str] = set()
    found: list[ForeseenStage] = []
    for stage in study.all_stages:
        trials = plan_stage(study, stage, chosen, fingerprint_of)
        known = made >= {*study.needs(stage)}
        found.append(ForeseenStage(stage, trials, known, known or stage.kind != "supervised"))
        findings = _findings(study, stage, trials, chosen, records)
        if known and findings is not None:
            chosen[stage.name] = stage.select(findings)
            made.add(stage.name)
        else:
            chosen[stage.name] = stand_in(stage, study.resolve(stage, chosen), study.all_stages)
    return tuple(found)


def is_over(record: TrialRecord | None, study: Study) -> bool:
    """Say whether a trial needs nothing more; one that another study has stopped may go on here."""
    if record is None:
        return False
    own = ("stopped", "cancelled") if record.study == study.name else ()
    return record.outcome in ("completed", "diverged", *own)


def _findings(
    study: Study,
    stage: Stage,
    trials: Sequence[PlannedTrial],
    chosen: Selections,
    records: Records,
) -> list[Finding] | None:
    """Return what a stage has given, None while a trial is not over."""
    cells = {cell.label: cell for cell in study.resolve(stage, chosen)}
    found = []
    for trial in trials:
        record = records.get(trial.trial_id)
        if record is None or not is_over(record, study):
            return None
        if trial.cell in cells:
            value = record.metrics.get(PRIMARY, math.nan)
            cell = cells[trial.cell]
            found.append(Finding(cell, trial.block, record.outcome, record.epoch, value))
    return found


def transformations_of(stage: ForeseenStage) -> tuple[str, ...]:
    """Return the transformations that a stage's cells have between them."""
    names = {name for trial in stage.trained for name in trial.config.composition}
    return tuple(sorted(names))
