"""What every kind of stage has: cells that follow from earlier choices, and a choice of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, PrivateAttr

from handssl.augment import Own
from handssl.config import Config
from handssl.objectives import ObjectiveName
from handssl.sweep.cells import Cell, Slug
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


class Selection(Config):
    """What a stage has chosen, for the stages after it and for people.

    Attributes:
        stage: Which stage.
        objective_of: The better objective of each transformation.
        best: The best cell.
        settings: For each objective, dotted keys of the pretraining with the values chosen.
        reasons: One sentence for each choice, with its numbers.
    """

    stage: Slug
    objective_of: dict[str, ObjectiveName] = Field(default_factory=dict)
    best: Cell | None = None
    settings: dict[ObjectiveName, dict[str, Any]] = Field(default_factory=dict)
    reasons: tuple[str, ...] = ()


Selections = Mapping[str, Selection]


class StageBase(Config):
    """A set of cells with a rule of selection.

    Attributes:
        name: Of the stage, once in a study.
    """

    name: Slug
    _own: tuple[Own, ...] = PrivateAttr(())

    def knowing(self, own: tuple[Own, ...]) -> Self:
        """Return the stage as part of a study with these own transformations."""
        stage = self.model_copy()
        stage._own = own
        return stage

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the stages whose selections its cells follow from."""
        after = getattr(self, "after", None)
        return (after,) if after else ()

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the cells, given what earlier stages have selected."""
        raise NotImplementedError

    def blocks(self, common: tuple[int, ...]) -> tuple[int, ...]:
        """Return the seeds of its blocks, given those of the study."""
        return common

    def exempt(self, cells: Sequence[Cell], position: int) -> frozenset[str]:
        """Return the labels of the cells that are never stopped in the block at this position."""
        return frozenset(cell.label for cell in cells if cell.exempt)

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Choose, on `select` alone; by default the best cell."""
        best = best_cell(findings)
        if best is None:
            return Selection(stage=self.name, reasons=("no cell completed",))
        return Selection(stage=self.name, best=best[0], reasons=(best[1],))


def with_settings(cell: Cell, before: Selections) -> Cell:
    """Return a cell with the settings that earlier stages have chosen for its objective.

    Example:
        >>> chosen = Selection(stage="h", settings={"relative": {"optimizer.lr_base": 1e-3}})
        >>> with_settings(Cell(composition=("rotate",), objective="relative"), {"h": chosen}).label
        'relative rotate optimizer.lr_base=0.001'
    """
    settings: dict[str, Any] = {}
    for selection in before.values():
        settings |= selection.settings.get(cell.objective, {})
    return cell.merged({"settings": settings | cell.settings}) if settings else cell


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
