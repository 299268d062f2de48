"""A study's trials as CSV: one line per trial, with all of its metrics."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from handssl.report.rows import Row

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport

_FIELDS = (
    *("stage", "stage_kind", "label", "kind", "composition", "objective", "relative_on", "data"),
    *("block", "outcome", "epoch", "epochs", "planned", "trial_id"),
)
_TITLES = {"label": "cell"}


def trials_csv(found: StudyReport) -> str:
    """Return one line for each trial of each stage, and each reference.

    Columns: study, the fields of the row, the id of the MLflow run, then every metric of the last
    recorded epoch under its name in MLflow; an empty field is a missing value. Numbers have all
    digits.

    Args:
        found: Report of the study.

    Example:
        >>> from pathlib import Path
        >>> from handssl.report.study_report import StudyReport
        >>> trials_csv(StudyReport("first", Path("runs"), "sqlite://")).split(",")[:3]
        ['study', 'stage', 'stage_kind']
    """
    records = {record.trial_id: record for record in found.records}
    names = sorted({name for record in found.records for name in record.metrics})
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["study", *(_TITLES.get(n, n) for n in _FIELDS), "mlflow_run_id", *names])
    for row in found.rows:
        record = records.get(row.trial_id)
        metrics = record.metrics if record else {}
        run_id = record.mlflow_run_id if record else None
        values = [metrics.get(name) for name in names]
        lines.writerow([found.study, *_values(row), run_id, *values])
    return text.getvalue()


def _values(row: Row) -> list[object]:
    return [getattr(row, name) for name in _FIELDS]
