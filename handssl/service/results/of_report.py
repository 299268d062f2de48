"""Result of a job from the report of its study."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from handssl.ledger.best import best_encoder
from handssl.report.figures.upset import interval_95
from handssl.report.files import files_of
from handssl.report.headline import summary
from handssl.report.layout import outcome_of
from handssl.report.ranking import CellRow
from handssl.report.rows import MEASURES, Row
from handssl.report.sections import Section, main_sections, sections
from handssl.report.study_report import StudyReport
from handssl.service.job_result import (
    BestTrial,
    JobResult,
    ResultCell,
    ResultSection,
    ResultTrial,
)

SHOWN = 12
"""Number of cells of the table on a job's page."""


def job_result(found: StudyReport) -> JobResult:
    """Return the result of a study.

    Args:
        found: Report of the study.
    """
    trials = [_trial(row, found) for row in found.rows]
    return JobResult(
        study=found.study,
        made_s=time.time(),
        headline=list(summary(found.rows)),
        best=_best(trials, found),
        sections=[_section(one) for one in sections(found.rows)],
        trials=trials,
        selections=[one.model_dump(mode="json") for one in found.selections],
    )


def shown_result(result: JobResult, found: StudyReport) -> JobResult:
    """Return the part of the result that a job's page shows: the best cells of the headline.

    Args:
        result: Result of the study.
        found: Report of the study.
    """
    ranked = [one for one in main_sections(found.rows) if one.ranking.trials]
    last = [_section(one) for one in (ranked or list(sections(found.rows)))[-1:]]
    shown = [one.model_copy(update={"cells": one.cells[:SHOWN]}) for one in last]
    return result.model_copy(update={"sections": shown, "trials": [], "selections": []})


def _best(trials: Sequence[ResultTrial], found: StudyReport) -> BestTrial | None:
    able = {one.trial_id for one in trials if one.has_weights}
    best = best_encoder(record for record in found.records if record.trial_id in able)
    if best is None:
        return None
    return BestTrial(
        trial_id=best.trial_id,
        cell=best.cell,
        block=best.block,
        median_mm=best.metrics["median_mm"],
    )


def _section(section: Section) -> ResultSection:
    first = section.first
    return ResultSection(
        title=section.title,
        stage=section.stage,
        kind=section.stage_kind,
        data=first.data,
        epochs=first.epochs,
        planned=first.planned,
        cells=list(_cells(section)),
    )


def _cells(section: Section) -> Iterator[ResultCell]:
    rank = 0
    for cell in section.ranking.finished:
        is_trial = cell.first.kind == "trial"
        rank += is_trial
        yield _cell(cell, rank if is_trial else None)
    for cell in section.ranking.early:
        yield _cell(cell, None)


def _cell(cell: CellRow, rank: int | None) -> ResultCell:
    first = cell.first
    values = [row.median_mm for row in cell.done if row.median_mm is not None]
    return ResultCell(
        **{measure: cell.mean(measure) for measure in MEASURES},
        rank=rank,
        cell=first.label,
        title=cell.title,
        objective="reference" if first.kind == "reference" else first.objective,
        interval_mm=interval_95(values) if rank else None,
        blocks=[row.block for row in cell.done],
        outcome=outcome_of(cell),
    )


def _trial(row: Row, found: StudyReport) -> ResultTrial:
    names = ("trial_id", "stage", "composition", "objective", "block", "outcome", "epoch", "epochs")
    return ResultTrial(
        **{name: getattr(row, name) for name in (*names, *MEASURES)},
        cell=row.label,
        has_weights=row.outcome == "completed" and files_of(row, found.storage).weights is not None,
    )
