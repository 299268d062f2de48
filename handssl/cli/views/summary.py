"""Summary of a study's results for the terminal, for scripts and as a page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from handssl.config import nearest
from handssl.errors import InputError
from handssl.execution.result import StudyResult
from handssl.execution.storage import default_tracking_uri
from handssl.ledger import Ledger, has_results
from handssl.report.effects.words import document as effect_values
from handssl.report.files import best_cell, files_of, next_steps
from handssl.report.formats.markdown import markdown
from handssl.report.formats.writing import write
from handssl.report.headline import best_set_values, headline, summary
from handssl.report.layout import outcome_of
from handssl.report.mlflow_report import log_report
from handssl.report.of_study import study_report
from handssl.report.ranking import CellRow
from handssl.report.rows import MEASURES
from handssl.report.sections import Section, sections
from handssl.report.study_report import StudyReport
from handssl.report.table import terminal_table
from handssl.report.text_parts import text_parts
from handssl.report.verdicts import comparisons
from handssl.runtime.secrets import masked
from handssl.tracking.conventions import ui_command
from handssl.tracking.study_page import study_page


@dataclass(frozen=True)
class Summary:
    """A study's results in several output formats.

    Attributes:
        table: Table for the terminal, with the headline below it.
        lines: Lines after it: the order, the choices, the effects, the page, the MLflow UI.
        document: The results as JSON values, for scripts.
        markdown: The results as Markdown: table, order, settings, hardware, versions, date.
    """

    table: RenderableType
    lines: tuple[str, ...]
    document: dict[str, Any]
    markdown: str


def summarise(result: StudyResult) -> Summary:
    """Summarise a finished run, write its page, `<study>.html` in the storage, and log it."""
    name, uri = result.study.name, result.tracking_uri
    found = study_report(name, result.storage, uri, result.records)
    log_report(found)
    return summarise_report(found)


def summarise_storage(storage: Path, name: str | None) -> Summary:
    """Summarise the results of one study in a storage and write its page; see `read_report`."""
    return summarise_report(read_report(storage, name))


def read_report(storage: Path, name: str | None) -> StudyReport:
    """Read the report of one study in a storage.

    Args:
        storage: Folder of the results.
        name: Name of the study; None if the storage holds only one.

    Raises:
        InputError: There is no such study, or several to choose from.
    """
    study = _choose(_studies(storage), name, storage)
    return study_report(study, storage, default_tracking_uri(storage))


def _studies(storage: Path) -> list[str]:
    """Return the studies of a storage, also those whose trials were all run first by others."""
    if not has_results(storage):
        return []
    ledger = Ledger(storage)
    return sorted({record.study for record in ledger.all()} | {*ledger.studies.names()})


def _choose(studies: list[str], name: str | None, storage: Path) -> str:
    if not studies:
        raise InputError(f"{storage}: expected results of a study, found none; run one first")
    if name is None and len(studies) > 1:
        raise InputError(f"{storage}: holds {', '.join(studies)}; choose one with --study")
    if name is not None and name not in studies:
        raise InputError(f"--study: no study {name!r} in {storage}{nearest(name, studies)}")
    return name or studies[0]


def summarise_report(found: StudyReport) -> Summary:
    """Summarise a report and write its page, `<study>.html` in the storage."""
    page, show = write(found), ui_command(found.tracking_uri)
    compared = study_page(found.tracking_uri, found.study)
    return Summary(
        table=Group(terminal_table(found.rows), "", Text("\n".join(summary(found.rows)))),
        lines=(
            *(line for title, lines in text_parts(found) for line in _block(title, lines)),
            *_best_lines(found),
            "",
            f"Page:      {page}",
            f"MLflow UI: {show}",
            *((f"  compare: {compared}",) if compared else ()),
        ),
        document=_document(found, page),
        markdown=markdown(found, masked(shlex.join(["handssl", *sys.argv[1:]]))),
    )


def _block(title: str, lines: Sequence[str]) -> list[str]:
    """Return a part with its title; those of order and effects state their subject themselves."""
    if title in ("Order", "Effects"):
        return ["", *lines]
    return ["", title, *(f"  {line}" for line in lines)]


def _best_lines(found: StudyReport) -> list[str]:
    """Return the trials and weights of the best cell, with the commands that continue with it."""
    best = best_cell(found)
    if best is None:
        return []
    files = [files_of(row, found.storage) for row in best.done]
    weights = next((str(one.weights) for one in files if one.weights), "not in this storage")
    return [
        "",
        f"Best:      {best.first.label}",
        f"Trials:    {', '.join(f'{one.trial_id} (block {one.block})' for one in files)}",
        f"Weights:   {weights}",
        *(f"Continue:  {one.command}  # {one.purpose}" for one in next_steps(found, best)),
    ]


def _document(found: StudyReport, page: Path) -> dict[str, Any]:
    order, effects = found.order, found.effects
    return {
        "study": found.study,
        "storage": str(found.storage),
        "tracking_uri": masked(found.tracking_uri),
        "page": str(page),
        "mlflow_ui": ui_command(found.tracking_uri),
        "headline": headline(found.rows),
        **({"plan": found.plan} if found.plan else {}),
        "comparisons": [one.values() for one in comparisons(found.rows)],
        "decisions": [one.values() for one in found.decisions],
        "best_set": best_set_values(found.rows),
        **({"order": str(order), "order_verdict": order.word} if order else {}),
        **({"effects": effect_values(effects)} if effects else {}),
        **({"diagnostics": found.diagnosis.values()} if found.diagnosis else {}),
        "missing": found.missing.values(),
        "selections": [one.model_dump(mode="json") for one in found.selections],
        "sections": [_section(section, found.storage) for section in sections(found.rows)],
        "trials": [record.model_dump(mode="json") for record in found.records],
    }


def _section(section: Section, storage: Path) -> dict[str, Any]:
    first, ranking = section.first, section.ranking
    return {
        "stage": section.stage,
        "kind": section.stage_kind,
        "data": first.data or None,
        "epochs": first.epochs,
        "planned": first.planned,
        "ranked": [_cell(cell, storage) for cell in ranking.finished],
        "ended_early": [_cell(cell, storage) for cell in ranking.early],
    }


def _cell(cell: CellRow, storage: Path) -> dict[str, Any]:
    return {
        "cell": cell.first.label,
        "kind": cell.first.kind,
        **{measure: cell.mean(measure) for measure in MEASURES},
        "adjusted_for_blocks": cell.finished and not cell.whole,
        "outcome": outcome_of(cell),
        "outcome_by_block": {row.block: row.outcome for row in cell.rows},
        "trials": [files_of(row, storage).values() for row in cell.rows],
    }


def write_markdown(summary: Summary, path: Path) -> None:
    """Write the Markdown of a summary.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(summary.markdown, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--markdown {path}: cannot be written: {error.strerror}") from None
