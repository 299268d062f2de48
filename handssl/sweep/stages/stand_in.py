"""Placeholder for a selection not made yet, used to plan and validate later stages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handssl.sweep.cells import Cell
from handssl.sweep.stages.base import Selection, StageBase


def stand_in(stage: StageBase, cells: Sequence[Cell], stages: Iterable[StageBase]) -> Selection:
    """Return a placeholder selection that leads to the maximum number of cells in later stages.

    Transformations with parameters are on the relative objective, the largest composition is the
    best cell.

    Args:
        stage: The stage without selection.
        cells: Cells of the stage.
        stages: All stages of the study.
    """
    names = dict.fromkeys(name for cell in cells for name in cell.composition)
    # A composition that a supervised stage lists anyway would not add a cell to it.
    listed = {c for later in stages for c in getattr(later, "compositions", ())}
    free = [cell for cell in cells if cell.composition not in listed] or list(cells)
    return Selection(
        stage=stage.name,
        objective_of={n: "relative" if n in stage.regressable else "contrastive" for n in names},
        best=max(free, key=lambda cell: len(cell.composition), default=None),
        reasons=("placeholder for a selection that has not been made yet",),
    )
