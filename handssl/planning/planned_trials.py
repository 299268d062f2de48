"""Planned trials of every stage, including those that depend on selections not made yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handssl.data.config import DataConfig
from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.ledger.record import TrialRecord
from handssl.planning.noise import NoiseFloor, first_noise, with_noise
from handssl.planning.trained_encoders import with_encoders
from handssl.scheduling.halving import Arm, Rules
from handssl.study.stages import Finding, Selection, Selections, Stage
from handssl.study.stages.validation import placeholder_selection
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, plan_stage

Records = dict[str, TrialRecord]
# Kinds of stages whose number of cells depends on a selection.
_UP_TO = ("supervised", "swapped")


@dataclass(frozen=True)
class PlannedStage:
    """A planned stage, with known cells or placeholders.

    Attributes:
        stage: The stage.
        trials: All of its trials.
        known: Whether all selections it depends on have been made.
        exact: Whether its number of cells is certain; otherwise it is the maximum.
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
        """Arms of the halving."""
        return [Arm(t.trial_id, t.block, t.exempt, t.epochs) for t in self.trained]

    def rules(self, study: Study) -> Rules | None:
        """Return the rules of halving; None without halving."""
        return study.halving.rules(study.pretrain.epochs) if study.halving else None


def plan_stages(
    study: Study,
    fingerprint_of: Callable[[DataConfig], str],
    records: Records,
    noise: Sequence[NoiseFloor] = (),
    first_plan: Mapping[str, Any] | None = None,
    storage: Path | None = None,
) -> tuple[PlannedStage, ...]:
    """Return every stage of a study with its planned trials.

    A missing selection is replaced by a placeholder that leads to as many cells: transformations
    with parameters on the relative objective, the largest composition as the best cell.

    Args:
        study: The study.
        fingerprint_of: Returns the fingerprint of a dataset, or a placeholder.
        records: Records of the ledger, by trial id.
        noise: Noise floors of the study.
        first_plan: Plan of the study's first run; None before.
        storage: Root of all results, with the encoders that later stages start from.
    """
    chosen: dict[str, Selection] = {}
    made: set[str] = set()
    found: list[PlannedStage] = []
    for stage in study.all_stages:
        trials = plan_stage(study, stage, chosen, fingerprint_of)
        known = made >= {*study.needs(stage)}
        found.append(PlannedStage(stage, trials, known, known or stage.kind not in _UP_TO))
        findings = _findings(study, stage, trials, chosen, records)
        if known and findings is not None:
            judged = with_noise(findings, noise, first_noise(first_plan))
            decided = stage.decide(judged, chosen)
            chosen[stage.name] = (
                with_encoders(decided, study, trials, storage) if storage else decided
            )
            made.add(stage.name)
        else:
            chosen[stage.name] = placeholder_selection(
                stage, study.resolve(stage, chosen), study.all_stages
            )
    return tuple(found)


def is_over(record: TrialRecord | None, study: Study) -> bool:
    """Return whether a trial is over; one that another study has stopped may continue here."""
    if record is None:
        return False
    ended = ("stopped", "cancelled") if record.study == study.name else ()
    return record.outcome in ("completed", "diverged", *ended)


def _findings(
    study: Study,
    stage: Stage,
    trials: Sequence[PlannedTrial],
    chosen: Selections,
    records: Records,
) -> list[Finding] | None:
    """Return the findings of a stage; None while a trial is not over."""
    cells = {cell.label: cell for cell in study.resolve(stage, chosen)}
    found = []
    for trial in trials:
        record = records.get(trial.trial_id)
        if record is None or not is_over(record, study):
            return None
        if trial.cell in cells:
            value = record.metrics.get(PRIMARY_METRIC, math.nan)
            cell = cells[trial.cell]
            found.append(Finding(cell, trial.block, record.outcome, record.epoch, value))
    return found


def transformations_of(stage: PlannedStage) -> tuple[str, ...]:
    """Return all transformations that occur in a stage's cells."""
    names = {name for trial in stage.trained for name in trial.config.composition}
    return tuple(sorted(names))
