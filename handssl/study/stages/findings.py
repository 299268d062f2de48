"""Findings of a stage: results of its cells per block, and the best cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from handssl.stats.best_set import best_set
from handssl.stats.cell_means import adjusted_means, connected_sets
from handssl.stats.paired import Errors
from handssl.stats.verdict import judge, rounding_mm, seeds_in_words
from handssl.study.cell import Cell

Row = TypeVar("Row")


@dataclass(frozen=True)
class Finding:
    """Result of a cell in one block.

    Attributes:
        cell: The cell.
        block: Seed of the block.
        outcome: `completed`, `stopped`, `diverged`, `failed` or `cancelled`.
        epoch: Last recorded epoch.
        median_mm: Primary measure on `select` in mm after that epoch; NaN if there is none.
        noise_mm: Standard deviation of repeats that differ in rounding alone, in mm; 0 if unknown.
        first_noise_mm: The same as far as it was known when the study was first run.
    """

    cell: Cell
    block: int
    outcome: str
    epoch: int
    median_mm: float
    noise_mm: float = 0.0
    first_noise_mm: float = 0.0

    @property
    def final_mm(self) -> float:
        """Measure of a completed trial in mm; infinite if it diverged, else NaN."""
        if self.outcome == "completed":
            return self.median_mm
        return math.inf if self.outcome == "diverged" else math.nan


def best_cell(findings: Sequence[Finding]) -> tuple[Cell, str] | None:
    """Return the cell with the smallest mean over blocks, with a sentence of explanation.

    Supervised rows are references: one is the best only where there is no other row. Means are
    adjusted for blocks in which a cell was stopped, see `adjusted_means`; the sentence names cells
    that no chain of common blocks connects with it. Ties go to the first label.

    Returns:
        Cell and sentence; None if nothing completed.
    """
    findings = compared(findings, _objective_of)
    values = _finite(final_errors(findings))
    cells = {finding.cell.label: finding.cell for finding in findings}
    means = adjusted_means(values)
    if not means:
        return None
    label = min(sorted(means), key=lambda one: means[one])
    most, completed = max(map(len, values.values())), len(values[label])
    partly = f", of which it was completed in {completed}" if completed < most else ""
    found = f"{means[label]:.1f} mm, least of {len(means)} over {seeds_in_words(most)}{partly}"
    rest = f"{_lead(label, means, findings)}{_near(findings)}{_apart(values)}"
    return cells[label], f"{label}: {found}{rest}"


def contenders(findings: Sequence[Finding], best: Cell) -> tuple[Cell, ...]:
    """Return the best cell and its runners-up, by their adjusted mean.

    Runners-up are the cells that cannot be told from the best (`best_set`), at least the next one.
    With one seed no cell can be told from another. A cell that diverged in some seed is no
    runner-up, since the mean of its other seeds is not its error.

    Args:
        findings: Findings of a stage.
        best: Its best cell.
    """
    findings = compared(findings, _objective_of)
    cells = {finding.cell.label: finding.cell for finding in findings}
    errors = final_errors(findings)
    whole = {label: own for label, own in errors.items() if all(map(math.isfinite, own.values()))}
    means = adjusted_means(_finite(errors))
    others = (means.keys() & whole.keys()) - {best.label}
    ranked = sorted(others, key=lambda one: (means[one], one))
    found = best_set(errors)
    close = [label for label in ranked if found is None or label in found.cells]
    return (best, *(cells[label] for label in close or ranked[:1]))


def compared(rows: Iterable[Row], objective_of: Callable[[Row], str]) -> list[Row]:
    """Return the rows among which a best cell is chosen: the self-supervised ones.

    Where all rows are supervised, they are compared with each other.

    Args:
        rows: Findings, trials or others.
        objective_of: Returns the objective of a row.

    Example:
        >>> compared(["relative", "supervised"], str), compared(["supervised"], str)
        (['relative'], ['supervised'])
    """
    every = list(rows)
    return [row for row in every if objective_of(row) != "supervised"] or every


def _objective_of(finding: Finding) -> str:
    return finding.cell.objective


def final_errors(findings: Iterable[Finding]) -> dict[str, dict[int, float]]:
    """Return the errors of completed and diverged trials in mm, by label and block."""
    values: dict[str, dict[int, float]] = {}
    for finding in findings:
        if not math.isnan(finding.final_mm):
            values.setdefault(finding.cell.label, {})[finding.block] = finding.final_mm
    return values


def _finite(errors: Mapping[str, Errors]) -> dict[str, dict[int, float]]:
    """Return the errors of completed trials, without cells that have none."""
    finite = {
        label: {block: mm for block, mm in own.items() if math.isfinite(mm)}
        for label, own in errors.items()
    }
    return {label: own for label, own in finite.items() if own}


def noise_by_cell(findings: Iterable[Finding]) -> dict[str, float]:
    """Return the standard deviation of repeats in mm by label."""
    return {finding.cell.label: finding.noise_mm for finding in findings}


def _lead(best: str, means: Mapping[str, float], findings: Sequence[Finding]) -> str:
    """Compare the best cell with the next one, if there is one."""
    others = sorted(means.keys() - {best}, key=lambda one: (means[one], one))
    if not others:
        return ""
    values, noise = _finite(final_errors(findings)), noise_by_cell(findings)
    ours, theirs = values[best], values[others[0]]
    noise_mm = rounding_mm(ours, theirs, noise[best], noise[others[0]])
    return f"; against {others[0]}: {judge(ours, theirs, noise_mm=noise_mm)}"


def _near(findings: Sequence[Finding]) -> str:
    """Name the cells that cannot be told from the best one, if the next is not the only other."""
    found = best_set(final_errors(findings))
    return f"; {found}" if found and found.compared > 2 else ""


def _apart(values: Mapping[str, Errors]) -> str:
    """Name the cells that cannot be compared with the best one."""
    apart = [label for one in connected_sets(values)[1:] for label in one]
    return f"; not compared, without a common block: {', '.join(apart)}" if apart else ""
