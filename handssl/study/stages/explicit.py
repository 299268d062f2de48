"""Stage with explicitly listed cells."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import Location, Selections, StageBase


class CellsStage(StageBase):
    """A stage whose cells are listed.

    Attributes:
        kind: `cells`.
        all: The listed cells.

    Example:
        >>> CellsStage(all=(Cell(composition=("blur",)),)).cells({})[0].label
        'contrastive blur'
    """

    kind: Literal["cells"] = "cells"
    name: Slug = "cells"
    all: tuple[Cell, ...]

    @field_validator("all")
    @classmethod
    def _differ(cls, value: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return cells_differ(value)

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the listed cells."""
        return self.all

    def origin(self, number: int) -> Location:
        """Return the location of a cell in the list."""
        return ("all", number)


def cells_differ(value: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Check that there is at least one cell and none is listed twice.

    Raises:
        ValueError: There is no cell, or one is listed twice.
    """
    # Not Field(min_length=1): pydantic would add it to the mistakes inside a cell.
    if not value:
        raise ValueError("expected at least 1 cell")
    labels = [cell.label for cell in value]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return value
