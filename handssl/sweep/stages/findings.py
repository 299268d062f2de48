"""What the cells of a stage gave, and which of them is best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from handssl.sweep.cells import Cell
from handssl.sweep.stages.means import adjusted_means


@dataclass(frozen=True)
class Finding:
    """What a cell gave in one block.

    Attributes:
        cell: Which.
        block: The seed.
        outcome: `completed`, `stopped`, `diverged`, `failed` or `cancelled`.
        epoch: The last one recorded.
        median_mm: Primary measure on `select` after that epoch; NaN without one.
    """

    cell: Cell
    block: int
    outcome: str
    epoch: int
    median_mm: float

    @property
    def final_mm(self) -> float:
        """The measure of a completed trial; infinite for one that diverged, else NaN."""
        if self.outcome == "completed":
            return self.median_mm
        return math.inf if self.outcome == "diverged" else math.nan


def best_cell(findings: Sequence[Finding]) -> tuple[Cell, str] | None:
    """Return the cell with the least mean over blocks, with a sentence that says so.

    Means are adjusted for blocks in which a cell was stopped, see `adjusted_means`. Ties go to the
    first label.

    Returns:
        Cell and sentence; None if nothing completed.
    """
    values: dict[str, dict[int, float]] = {}
    cells: dict[str, Cell] = {}
    for finding in findings:
        if math.isfinite(finding.final_mm):
            values.setdefault(finding.cell.label, {})[finding.block] = finding.final_mm
            cells[finding.cell.label] = finding.cell
    means = adjusted_means(values)
    if not means:
        return None
    label = min(sorted(means), key=lambda one: means[one])
    most, own = max(map(len, values.values())), len(values[label])
    over = f"{most} block{'s' if most > 1 else ''}"
    partly = f", of which it was completed in {own}" if own < most else ""
    return cells[
        label
    ], f"{label}: {means[label]:.2f} mm, least of {len(means)} over {over}{partly}"
