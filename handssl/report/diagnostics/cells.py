"""Cells of a report with the diagnostics of their trials, and what each objective asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from handssl.ledger.references import RANDOM_ENCODER
from handssl.report.sections import main_sections

if TYPE_CHECKING:
    from handssl.report.rows import Row
    from handssl.report.study_report import StudyReport

Asked = Literal["equivariant", "invariant", "not trained with"]
Measure = Literal["equivariance_r2", "invariance"]
MEASURES: dict[Measure, Asked] = {"equivariance_r2": "equivariant", "invariance": "invariant"}
"""Measure of each property that an objective asks for; both are 1 if features have it fully."""


@dataclass(frozen=True)
class DiagnosedTrial:
    """A finished trial, or a random encoder, with its diagnostics.

    Attributes:
        row: Its row.
        values: Diagnostics by (measure, transformation).
    """

    row: Row
    values: dict[tuple[str, str], float]

    @property
    def is_random(self) -> bool:
        """Whether it is the block's initial network."""
        return self.row.label == RANDOM_ENCODER.label


def diagnosed_trials(found: StudyReport) -> tuple[DiagnosedTrial, ...]:
    """Return the trials of the compared stages that have diagnostics, and the random encoders.

    Args:
        found: Report of the study; a trial of two stages is returned once.
    """
    records = {record.trial_id: record.metrics for record in found.records}
    rows = {(row.label, row.block): row for row in _rows(found)}
    trials = (DiagnosedTrial(row, _values(records.get(row.trial_id, {}))) for row in rows.values())
    return tuple(one for one in trials if one.values)


def _rows(found: StudyReport) -> Iterator[Row]:
    for section in main_sections(found.rows):
        for row in section.rows:
            if row.finished and (row.kind == "trial" or row.label == RANDOM_ENCODER.label):
                yield row


def _values(metrics: dict[str, float]) -> dict[tuple[str, str], float]:
    parts = ((name.split("/"), value) for name, value in metrics.items())
    return {
        (words[1], words[2]): value
        for words, value in parts
        if len(words) == 3 and words[0] == "diag" and words[1] in MEASURES
    }


def asked(row: Row, transformation: str) -> Asked:
    """Return what the objective of a trial asks of its features about a transformation.

    The relative objective, and `equivariant` where it can invert, ask for equivariance, the
    contrastive one for invariance.

    Args:
        row: The trial.
        transformation: Name of the transformation.

    Example:
        >>> from handssl.report.rows import Row
        >>> row = Row("", "blur+rotate", "mixed", 1, "completed", 6, 6, relative_on="rotate")
        >>> asked(row, "rotate"), asked(row, "blur"), asked(row, "translate")
        ('equivariant', 'invariant', 'not trained with')
    """
    if transformation not in row.composition.split("+"):
        return "not trained with"
    return "equivariant" if transformation in _equivariant(row) else "invariant"


def _equivariant(row: Row) -> Iterable[str]:
    from handssl.objectives import INVERTIBLE  # imports torch, which a page does not need

    if row.objective == "relative":
        return row.composition.split("+")
    if row.objective == "equivariant":
        return INVERTIBLE
    return row.relative_on.split("+")
