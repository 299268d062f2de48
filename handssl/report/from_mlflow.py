"""Build a study's report from MLflow alone, e.g. where its storage is not mounted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from handssl.ledger.record import TrialRecord
from handssl.report.rows import Row, of_stage, row_of
from handssl.report.study_report import StudyReport
from handssl.runtime.secrets import masked

if TYPE_CHECKING:
    from handssl.tracking.logged_study import LoggedStudy


def report_from_mlflow(tracking_uri: str, study: str, storage: Path) -> StudyReport:
    """Read the report of a study from MLflow.

    Args:
        tracking_uri: URI of the MLflow store.
        study: Name of the study.
        storage: Folder in which the page is written; trials that it holds are linked.

    Raises:
        InputError: There is no such study in the store, or it is not reachable.
    """
    from handssl.errors import InputError
    from handssl.study.stages import Selection
    from handssl.tracking.logged_study import read_logged_study
    from handssl.tracking.outbox import UnavailableError

    try:
        logged = read_logged_study(tracking_uri, study)
    except UnavailableError as error:
        raise InputError(
            f"--from-mlflow {masked(tracking_uri)}: expected a reachable MLflow store ({error})"
        ) from None
    plan = next((dict(one.plan) for one in reversed(logged.stages) if one.plan), None)
    planned = _planned(plan or {})
    return StudyReport(
        study,
        storage,
        tracking_uri,
        logged.records,
        rows=tuple(_rows(logged, planned)),
        selections=tuple(
            Selection.model_validate(one.selection) for one in logged.stages if one.selection
        ),
        planned=planned,
        plan=plan,
        plan_facts=_facts(plan, tracking_uri),
        not_held=tuple(_not_held(logged)),
    )


def _planned(plan: Mapping[str, object]) -> dict[str, str]:
    registered = plan.get("registered")
    planned = dict(registered) if isinstance(registered, Mapping) else {}
    study = plan.get("study")
    if isinstance(study, Mapping) and study.get("blocks"):  # seeds may have been added later
        planned["blocks"] = ",".join(map(str, study["blocks"]))
    return planned


def _facts(plan: Mapping[str, object] | None, tracking_uri: str) -> dict[str, str]:
    hashed = {"plan": str(plan["hash"])} if plan and "hash" in plan else {}
    return {"read from": f"MLflow at {masked(tracking_uri)}, without the ledger", **hashed}


def _rows(logged: LoggedStudy, planned: Mapping[str, str]) -> Iterator[Row]:
    records = {record.trial_id: record for record in logged.records}
    seen: set[str] = set()
    for stage in logged.stages:
        facts = of_stage(stage.name, planned)
        for trial in stage.trials:
            if record := records.get(trial["trial_id"]):
                seen.add(record.trial_id)
                row = _row(record, logged)
                yield replace(row, label=trial["cell"], stage=stage.name, **facts)
    for record in logged.records:
        if record.trial_id not in seen:
            facts = of_stage(record.stage, planned)
            yield replace(_row(record, logged), **facts, planned=not seen)


def _row(record: TrialRecord, logged: LoggedStudy) -> Row:
    return row_of(record, logged.histories.get(record.trial_id, []))


def _not_held(logged: LoggedStudy) -> Iterator[str]:
    """Yield what a report from the ledger has, and this one lacks."""
    yield (
        "This report was read from MLflow, which has the outcome of a trial where it ran first, "
        "and neither requests to the study nor the status of trials without a run."
    )
    planned = {trial["trial_id"] for stage in logged.stages for trial in stage.trials}
    absent = planned - {record.trial_id for record in logged.records}
    if absent:
        yield (
            f"{len(absent)} planned trials have no run in this experiment: they were not begun, or "
            "another study ran them first."
        )
    if not planned:
        yield "The plan was not logged: trials are listed by the stage that ran them first."
