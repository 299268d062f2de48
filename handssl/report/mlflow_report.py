"""Attach a study's report to its MLflow run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from handssl.report.formats.writing import FORMATS, FormatName
from handssl.runtime.secrets import masked

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport

LOGGED: tuple[FormatName, ...] = ("html", "markdown", "csv")
_LOG = logging.getLogger("handssl")


def log_report(found: StudyReport) -> None:
    """Attach the report to the run of the study's last stage, as HTML, Markdown and CSV.

    Nothing is attached, with a warning, while MLflow is not reachable; the next run of the study
    attaches it. A single pretraining has no stage and attaches nothing.

    Args:
        found: Report of the study.
    """
    from handssl.tracking.study_files import log_files

    stages = [row.stage for row in found.rows if row.stage and row.planned]
    if not stages or found.plan is None:
        return
    files = {f"report{FORMATS[form].suffix}": FORMATS[form].render(found) for form in LOGGED}
    if reason := log_files(found.tracking_uri, found.study, stages[-1], files):
        _LOG.warning(
            "MLflow at %s lacks the report of %s (%s); the next run of the study attaches it",
            *(masked(found.tracking_uri), found.study, reason),
        )
