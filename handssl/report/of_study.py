"""A study's report, from the ledger: what its plan asks for, whoever has run it, and no more.

The study as it was last run is kept in the ledger. Its stages are planned again from it, and so
its trials are found, those that another study ran first too, with the outcome they have in each
stage and with what the stage has chosen. What the study has run under earlier plans follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from handssl.errors import DataError, InputError
from handssl.report.choices import choices
from handssl.report.effects import StudyEffects, effect_gaps, study_effects
from handssl.report.facts import study_facts
from handssl.report.html import write_html
from handssl.report.missing import Missing, missing
from handssl.report.order import OrderCheck, order_check
from handssl.report.rows import Row, row_of
from handssl.tracking.conventions import ui_command
from handssl.tracking.ledger import Ledger
from handssl.tracking.outbox import UnavailableError
from handssl.tracking.record import EpochMetrics, Outcome, TrialRecord
from handssl.tracking.relocation import relocate

if TYPE_CHECKING:
    from handssl.sweep.stages import Selection
    from handssl.sweep.status import StageStatus, StudyStatus, TrialStatus


@dataclass(frozen=True)
class StudyReport:
    """Everything that is shown of a study.

    Attributes:
        study: Its name.
        storage: Where its results are.
        tracking_uri: Of its MLflow store.
        records: Of its trials, each once.
        rows: Of its stages: a trial that two stages share is in both.
        selections: What its stages have chosen, as far as they are over.
        planned: The plan as it is now, dotted names to text.
        plan: The plan as it was kept, with its hash; None for a pretraining alone.
        plan_facts: Its hash and how later plans deviate, in words.
        stages: As they stand; none where they cannot be planned again.
        unread: Why not; empty if they can be, or have no plan.
    """

    study: str
    storage: Path
    tracking_uri: str
    records: tuple[TrialRecord, ...]
    rows: tuple[Row, ...]
    selections: tuple[Selection, ...]
    planned: Mapping[str, str]
    plan: dict[str, Any] | None
    plan_facts: Mapping[str, str]
    stages: tuple[StageStatus, ...] = ()
    unread: str = ""

    @cached_property
    def missing(self) -> Missing:
        """What is not shown, and why."""
        return missing(
            self.rows,
            self.stages,
            effects=self.effects,
            gaps=effect_gaps(self.rows, self.planned),
            unread=self.unread,
            storage=self.storage,
        )

    @cached_property
    def effects(self) -> StudyEffects | None:
        """Of the transformations, where the study tells them."""
        return study_effects(self.rows, self.planned)

    @cached_property
    def order(self) -> OrderCheck | None:
        """The order; without references there is none to speak of."""
        known = any(row.kind == "reference" for row in self.rows)
        return order_check(self.rows) if known else None

    @property
    def choices(self) -> tuple[str, ...]:
        """What the stages have chosen, in sentences."""
        return tuple(said for selection in self.selections for said in choices(selection))

    @property
    def facts(self) -> dict[str, str]:
        """The plan, the settings that all trials share, the machine that writes the report."""
        stages = dict.fromkeys(row.stage for row in self.rows)
        found = study_facts(self.records, self.storage) | {"stage": ", ".join(stages)}
        return {**self.plan_facts, **found}

    def write_page(self, path: Path | None = None) -> Path:
        """Write the page.

        Args:
            path: Of the file; default `<study>.html` in the storage.

        Returns:
            Where it is.

        Raises:
            InputError: It cannot be written there.
        """
        page = path or self.storage / f"{self.study}.html"
        write_html(
            self.rows,
            page,
            title=f"Study {self.study}",
            facts={"MLflow UI": ui_command(self.tracking_uri)} | self.facts,
            effects=self.effects,
            choices=self.choices,
            missing=self.missing.lines(),
        )
        return page


def study_report(
    study: str, storage: Path, tracking_uri: str, records: Sequence[TrialRecord] | None = None
) -> StudyReport:
    """Read what there is of a study.

    Args:
        study: Its name.
        storage: Where its results are.
        tracking_uri: Of its MLflow store.
        records: Of a study that has no plan, as a pretraining alone: its trials; default: those
            that it was the first to run.
    """
    from handssl.sweep.planning.registered import plan_facts

    with suppress(UnavailableError):  # the report needs no MLflow, and a storage may be read-only
        relocate(tracking_uri)
    ledger = Ledger(storage)
    plan = ledger.studies.plan(study)
    known, unread = _status(plan, storage)
    planned = _planned(plan, known, storage)
    if plan is not None or records is None:
        records = ledger.all(study)
    asked = [name for one in known.stages for name in _names(one)] if known else []
    found = {record.trial_id: record for record in (*ledger.load_all(asked), *records)}
    histories = ledger.histories(list(found))
    return StudyReport(
        *(study, storage, tracking_uri, tuple(found.values())),
        rows=tuple(_rows(known, planned, found, histories)),
        selections=tuple(one.selection for one in known.stages if one.selection) if known else (),
        planned=planned,
        plan=plan,
        plan_facts=plan_facts(ledger, study),
        stages=known.stages if known else (),
        unread=unread,
    )


def _status(plan: Mapping[str, Any] | None, storage: Path) -> tuple[StudyStatus | None, str]:
    """Return how a study stands; None, and why, where plan or data can no longer be read."""
    from handssl.sweep.status import status
    from handssl.sweep.study import Study

    if plan is None or "study" not in plan:
        return None, ""
    try:
        return status(Study.parse(plan["study"]), storage), ""
    except (InputError, DataError) as error:
        return None, str(error)  # what the study itself has run can still be shown


def _planned(
    plan: Mapping[str, Any] | None, known: StudyStatus | None, storage: Path
) -> dict[str, str]:
    from handssl.sweep.planning.registered import registered

    if known is not None:
        return registered(known.study, storage)
    return dict(plan["registered"]) if plan else {}


def _names(stage: StageStatus) -> list[str]:
    return [one.trial.trial_id for one in stage.trials]


def _rows(
    known: StudyStatus | None,
    planned: Mapping[str, str],
    records: Mapping[str, TrialRecord],
    histories: Mapping[str, list[EpochMetrics]],
) -> Iterator[Row]:
    stages = known.stages if known else ()
    for stage in stages:
        for one in stage.trials:
            if record := records.get(one.trial.trial_id):
                row = _planned_row(one, record, histories.get(record.trial_id, []))
                yield replace(row, stage=stage.name, stage_kind=_kind(stage.name, planned))
    yield from _others(stages, planned, records, histories)


def _planned_row(one: TrialStatus, record: TrialRecord, history: list[EpochMetrics]) -> Row:
    from handssl.sweep.cells import data_name

    trial = one.trial
    # A trial that runs or waits has no outcome yet, whatever it had elsewhere.
    outcome: Outcome = one.state if one.state in get_args(Outcome) else "running"  # type: ignore[assignment]
    data = data_name(trial.data) if trial.data else ""
    row = row_of(record, history)
    return replace(row, label=trial.cell, outcome=outcome, data=data, epochs=trial.epochs)


def _others(
    stages: Sequence[StageStatus],
    planned: Mapping[str, str],
    records: Mapping[str, TrialRecord],
    histories: Mapping[str, list[EpochMetrics]],
) -> Iterator[Row]:
    """Return the rows of trials that no stage asks for: those of earlier plans.

    Where it is not known what a stage will ask for, its trials count as planned.
    """
    asked = {name for stage in stages for name in _names(stage)}
    waiting = {stage.name for stage in stages if stage.waits_for}
    for record in records.values():
        if record.trial_id not in asked:
            row = row_of(record, histories.get(record.trial_id, []))
            may = not stages or row.stage in waiting
            yield replace(row, stage_kind=_kind(row.stage, planned), planned=may)


def _kind(stage: str, planned: Mapping[str, str]) -> str:
    return planned.get(f"stages.{stage}.kind", "")
