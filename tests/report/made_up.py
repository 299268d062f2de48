"""A report of made-up rows."""

from __future__ import annotations

from pathlib import Path

from handssl.report.page import page
from handssl.report.study_report import StudyReport


def report_of(rows=(), study="x", **known) -> StudyReport:
    """Return the report of some rows; `known` are further attributes."""
    return StudyReport(study, Path("runs"), "sqlite:///mlflow.db", rows=tuple(rows), **known)


def page_of(rows=(), study="x", **known) -> str:
    """Return the page of some rows."""
    return page(report_of(rows, study, **known))
