"""Report of a study: its rows with everything that is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handssl.ledger.record import TrialRecord
from handssl.report.conclusions import choices
from handssl.report.decisions import ObjectiveDecision, decisions
from handssl.report.diagnostics.answers import Diagnosis, diagnosis
from handssl.report.effects import StudyEffects, effect_gaps, study_effects
from handssl.report.facts import study_facts
from handssl.report.missing import Missing, missing
from handssl.report.order import OrderCheck, order_check
from handssl.report.published.matching import Comparable, comparable
from handssl.report.rows import Row
from handssl.tracking.conventions import ui_command

if TYPE_CHECKING:
    from handssl.execution.status import StageStatus
    from handssl.study.stages import Selection


@dataclass(frozen=True)
class StudyReport:
    """Report of a study.

    Attributes:
        study: Name of the study.
        storage: Storage of its results.
        tracking_uri: URI of its MLflow store.
        records: Records of its trials, each once.
        rows: Rows of its stages: a trial shared by two stages is in both.
        selections: Choices of its finished stages.
        planned: The current plan, dotted names to text.
        plan: The stored plan with its hash; None for a single pretraining.
        plan_facts: Hash of the plan and deviations of later plans, in words.
        stages: Status of the stages; empty if they cannot be planned again.
        unread: Reason why they cannot be planned again; empty if they can, or without a plan.
        not_held: What the source of the report lacks, in sentences.
    """

    study: str
    storage: Path
    tracking_uri: str
    records: tuple[TrialRecord, ...] = ()
    rows: tuple[Row, ...] = ()
    selections: tuple[Selection, ...] = ()
    planned: Mapping[str, str] = field(default_factory=dict)
    plan: dict[str, Any] | None = None
    plan_facts: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[StageStatus, ...] = ()
    unread: str = ""
    not_held: tuple[str, ...] = ()

    @cached_property
    def missing(self) -> Missing:
        """Missing results and their reasons."""
        found = missing(
            self.rows,
            self.stages,
            effects=self.effects,
            gaps=effect_gaps(self.rows, self.planned),
            unread=self.unread,
            study=self.study,
            storage=self.storage,
        )
        return replace(found, notes=(*found.notes, *self.not_held))

    @cached_property
    def effects(self) -> StudyEffects | None:
        """Effects of the transformations, if they can be estimated."""
        return study_effects(self.rows, self.planned)

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        """Answers from the diagnostics of features; None where none were recorded."""
        return diagnosis(self)

    @cached_property
    def comparable(self) -> Comparable | None:
        """Published numbers of the same conditions, or why there are none."""
        return comparable(self)

    @cached_property
    def decisions(self) -> tuple[ObjectiveDecision, ...]:
        """Decisions between the objectives of a composition."""
        return decisions(self.rows)

    @cached_property
    def order(self) -> OrderCheck | None:
        """The order check; None without references."""
        known = any(row.kind == "reference" for row in self.rows)
        return order_check(self.rows) if known else None

    @property
    def choices(self) -> tuple[str, ...]:
        """Choices of the stages, in sentences."""
        return tuple(sentence for selection in self.selections for sentence in choices(selection))

    @cached_property
    def facts(self) -> dict[str, str]:
        """Facts: MLflow, the plan, settings shared by all trials, the machine that writes this."""
        stages = dict.fromkeys(row.stage for row in self.rows)
        found = study_facts(self.records, self.storage) | {"stage": ", ".join(stages)}
        return {"MLflow UI": ui_command(self.tracking_uri), **self.plan_facts, **found}
