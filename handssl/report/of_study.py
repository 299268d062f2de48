"""Build a study's report from the ledger: all trials of its plan, including those of other studies.

The ledger stores the study as it was last run. Its stages are planned again from it to find its
trials, including those first run by another study, with their outcome in each stage and the choices
of the stage. Trials that the study ran under earlier plans follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from handssl.errors import DataError, InputError
from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.ledger import Ledger
from handssl.ledger.record import EpochMetrics, Outcome, TrialRecord
from handssl.report.formats.writing import FormatName, write
from handssl.report.rows import Row, of_stage, row_of
from handssl.report.study_report import StudyReport
from handssl.tracking.outbox import UnavailableError
from handssl.tracking.relocation import relocate

if TYPE_CHECKING:
    from handssl.execution.result import StudyResult
    from handssl.execution.status import StageStatus, StudyStatus, TrialStatus


def study_report(
    study: str, storage: Path, tracking_uri: str, records: Sequence[TrialRecord] | None = None
) -> StudyReport:
    """Read the report of a study.

    Args:
        study: Name of the study.
        storage: Storage of its results.
        tracking_uri: URI of its MLflow store.
        records: Records for a study without a plan, such as a single pretraining; default: the
            trials that it was the first to run.
    """
    from handssl.planning.preregistration import plan_facts

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
    histories = ledger.histories(list(found), (PRIMARY_METRIC,))
    return StudyReport(
        study,
        storage,
        tracking_uri,
        tuple(found.values()),
        rows=tuple(_with_noise(_rows(known, planned, found, histories), ledger, study)),
        selections=tuple(one.selection for one in known.stages if one.selection) if known else (),
        planned=planned,
        plan=plan,
        plan_facts=plan_facts(ledger, study),
        stages=known.stages if known else (),
        unread=unread,
    )


def _with_noise(rows: Iterable[Row], ledger: Ledger, study: str) -> Iterator[Row]:
    """Give trained rows the noise floor of their objective, where `study noise` measured it."""
    from handssl.planning.noise import measured_floors, noise_of, primary_noise

    known = primary_noise(measured_floors(ledger, study))
    for row in rows:
        trained = known and row.objective != "reference"
        yield replace(row, noise_mm=noise_of(known, row.objective)) if trained else row


def write_report(
    result: StudyResult,
    path: Path | str | None = None,
    *,
    format: FormatName = "html",  # noqa: A002  (the name of the option of `handssl report`)
) -> Path:
    """Write the report of a study.

    Args:
        result: Result of `handssl.run`.
        path: Path of the file; default `<study>.html` in the result's storage, with the suffix of
            the format.
        format: `html`, `markdown`, `latex` or `csv`.

    Returns:
        Path of the file.

    Raises:
        InputError: The format is unknown, or the file cannot be written.
    """
    found = study_report(result.study.name, result.storage, result.tracking_uri, result.records)
    return write(found, Path(path) if path is not None else None, format)


def _status(plan: Mapping[str, Any] | None, storage: Path) -> tuple[StudyStatus | None, str]:
    """Return the status of a study, or None and the reason if plan or data cannot be read."""
    from handssl.execution.status import status
    from handssl.study.study import Study

    if plan is None or "study" not in plan:
        return None, ""
    try:
        return status(Study.parse(plan["study"]), storage), ""
    except (InputError, DataError) as error:
        return None, str(error)  # trials that the study itself ran can still be shown


def _planned(
    plan: Mapping[str, Any] | None, known: StudyStatus | None, storage: Path
) -> dict[str, str]:
    from handssl.planning.preregistration import preregistration

    if known is not None:
        return preregistration(known.study, storage)
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
                yield replace(row, stage=stage.name, **of_stage(stage.name, planned))
    yield from _others(stages, planned, records, histories)


def _planned_row(one: TrialStatus, record: TrialRecord, history: list[EpochMetrics]) -> Row:
    from handssl.study.cell import data_name

    trial = one.trial
    # A running or waiting trial has no outcome yet, regardless of its outcome elsewhere.
    outcome: Outcome = one.state if one.state in get_args(Outcome) else "running"  # type: ignore[assignment]
    data = data_name(trial.data) if trial.data else ""
    row = row_of(record, history)
    return replace(
        row,
        label=trial.cell,
        block=trial.block,
        outcome=outcome,
        data=data,
        epochs=trial.epochs,
    )


def _others(
    stages: Sequence[StageStatus],
    planned: Mapping[str, str],
    records: Mapping[str, TrialRecord],
    histories: Mapping[str, list[EpochMetrics]],
) -> Iterator[Row]:
    """Return the rows of trials that are in no stage: those of earlier plans.

    If the trials of a stage are not known yet, its recorded trials count as planned.
    """
    asked = {name for stage in stages for name in _names(stage)}
    waiting = {stage.name for stage in stages if stage.waits_for}
    for record in records.values():
        if record.trial_id not in asked:
            row = row_of(record, histories.get(record.trial_id, []))
            may = not stages or row.stage in waiting
            yield replace(row, **of_stage(row.stage, planned), planned=may)
