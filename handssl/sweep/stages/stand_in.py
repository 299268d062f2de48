"""A choice that a stage might make, for what is to be known of later stages before it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handssl.sweep.cells import Cell
from handssl.sweep.stages.base import Selection, StageBase


def stand_in(stage: StageBase, cells: Sequence[Cell], stages: Iterable[StageBase]) -> Selection:
    """Return a selection that leads to as many cells of later stages as any does.

    Transformations with parameters are on the relative objective, the largest composition is the
    best cell.

    Args:
        stage: The one that has not chosen.
        cells: Its own.
        stages: All of the study.
    """
    names = dict.fromkeys(name for cell in cells for name in cell.composition)
    # One that a supervised stage lists anyway would hide the cell that it may get besides.
    listed = {c for later in stages for c in getattr(later, "compositions", ())}
    free = [cell for cell in cells if cell.composition not in listed] or list(cells)
    return Selection(
        stage=stage.name,
        objective_of={n: "relative" if n in stage.regressable else "contrastive" for n in names},
        best=max(free, key=lambda cell: len(cell.composition), default=None),
        reasons=("stands in for a choice that nobody has made yet",),
    )
