"""Verdicts of a report: the best self-supervised cell against rows that nothing has learned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from handssl.ledger.references import HOG_RIDGE, TRUE_ANGLE, UNTRAINED, Reference
from handssl.report.ranking import CellRow
from handssl.report.rows import Row
from handssl.report.sections import main_sections
from handssl.stats.paired import Errors
from handssl.stats.verdict import Verdict, judge_best, rounding_mm

_NAMES = {
    HOG_RIDGE: "a ridge on HOG features",
    TRUE_ANGLE: "the mean pose at the true in-plane angle",
}


@dataclass(frozen=True)
class Comparison:
    """The best self-supervised cell against a reference.

    Attributes:
        reference: The reference.
        reference_mm: Its error in mm.
        cell: Label of the cell.
        cell_mm: Mean error of the cell over blocks in mm.
        verdict: Whether the cell is better.
    """

    reference: Reference
    reference_mm: float
    cell: str
    cell_mm: float
    verdict: Verdict

    @property
    def fact(self) -> str:
        """The comparison as a sentence without full stop and without the word `undecided`."""
        other = _NAMES[self.reference]
        verb = "is below" if self.verdict.word == "undecided" else "beats"
        if self._is_lower:
            values = f"{self.cell_mm:.1f} against {self.reference_mm:.1f} mm"
            return f"{self.cell} {verb} {other} ({values})"
        best = f"{self.reference_mm:.1f} mm; best: {self.cell} {self.cell_mm:.1f} mm"
        return f"No self-supervised cell {verb} {other} ({best})"

    @property
    def _is_lower(self) -> bool:
        if self.verdict.word == "undecided":
            return self.cell_mm < self.reference_mm
        return self.verdict.word == "better"

    def __str__(self) -> str:
        """Return the fact with the verdict."""
        return f"{self.fact}; {self.verdict}."

    def values(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        has = math.isfinite(self.verdict.low)
        return {
            "against": self.reference.label,
            "against_mm": self.reference_mm,
            "cell": self.cell,
            "cell_mm": self.cell_mm,
            "verdict": self.verdict.word,
            "difference_mm": self.verdict.mm if math.isfinite(self.verdict.mm) else None,
            "interval_mm": [self.verdict.low, self.verdict.high] if has else None,
            "seeds": self.verdict.seeds,
            "sentence": str(self),
        }


def comparisons(rows: Iterable[Row]) -> tuple[Comparison, ...]:
    """Compare the self-supervised cells with the HOG ridge and the mean pose at the true angle.

    Every ranked cell of the stages that compare cells on the study's own data counts; which one
    decides is the rule of `judge_best`.

    Args:
        rows: Rows of one study.

    Returns:
        One comparison for each of the two references that was measured; none without a cell.
    """
    rankings = [section.ranking for section in main_sections(rows)]
    cells = sorted(
        (cell for ranking in rankings for cell in ranking.trials),
        key=lambda cell: (cell.means["median_mm"], cell.first.label),
    )
    known = {cell.name: cell for ranking in rankings for cell in ranking.finished}
    found = [(one, known[one.label]) for one in _NAMES if one.label in known] if cells else []
    return tuple(_compare(reference, row, cells) for reference, row in found)


def _compare(reference: Reference, row: CellRow, cells: Sequence[CellRow]) -> Comparison:
    by_label = {cell.first.label: cell for cell in reversed(cells)}
    errors = {cell.first.label: errors_of(cell) for cell in cells}
    noise = {name: noise_between(cell, row) for name, cell in by_label.items()}
    name, verdict = judge_best(errors, errors_of(row), noise_mm=noise)
    cell_mm = by_label[name].means["median_mm"]
    return Comparison(reference, row.means["median_mm"], name, cell_mm, verdict)


def errors_of(cell: CellRow) -> Errors:
    """Return the error of a cell in mm by block, infinite where it diverged."""
    values = {row.block: row.median_mm for row in cell.done if row.median_mm is not None}
    return values | {row.block: math.inf for row in cell.rows if row.outcome == "diverged"}


def noise_between(cell: CellRow, other: CellRow) -> float:
    """Return the mean difference of two cells in mm that rounding alone makes; 0 if unknown."""
    noise = (cell.first.noise_mm, other.first.noise_mm)
    return rounding_mm(errors_of(cell), errors_of(other), *noise)


def unmeasured(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the labels of references that a study with references lacks, e.g. an earlier one.

    Args:
        rows: Rows of one study.
    """
    known = {row.label for row in rows if row.kind == "reference"}
    return tuple(one.label for one in UNTRAINED if one.label not in known) if known else ()
