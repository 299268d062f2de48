"""Sec. 4.3: with each transformation on its better objective, which composition is best?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, field_validator

from handssl.augment.names import Composition
from handssl.sweep.cells import Cell, Slug
from handssl.sweep.skeleton import skeleton
from handssl.sweep.stages.base import Selection, Selections, StageBase


class CompositionsStage(StageBase):
    """Every subset of the transformations, each on the objective its stage has chosen.

    The empty composition is a cell like any other. Transformations on both objectives are mixed
    in one pretraining.

    Attributes:
        kind: `compositions`.
        after: The `objectives` stage that has chosen.
        transformations: Which; default: those of that stage, so 2^7 = 128 cells.
        skeleton: Cells of the orthogonal fraction that is never stopped early, a power of two, so
            that effects can be estimated; in every block another coset. 0: none.

    Reference:
        Paper, Sec. 4.3. Double sampling with a fractional factorial: docs/sweeps.md.
    """

    kind: Literal["compositions"] = "compositions"
    name: Slug = "compositions"
    after: Slug = "objectives"
    transformations: Composition | None = None
    skeleton: Annotated[int, Field(ge=0, le=512)] = 16

    @field_validator("skeleton")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError(f"expected 0 or a power of two, got {value}")
        return value

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return all subsets, the empty one first, by size and name."""
        chosen = before[self.after]
        names: tuple[str, ...] = self.transformations or tuple(chosen.objective_of)
        return tuple(_cell(subset, chosen) for subset in subsets(names))

    def exempt(self, cells: Sequence[Cell], position: int) -> frozenset[str]:
        """Return the labels of the skeleton's coset of the block at this position."""
        if not self.skeleton:
            return frozenset()
        names = {name for cell in cells for name in cell.composition}
        chosen = set(skeleton(names, self.skeleton, position))
        return frozenset(cell.label for cell in cells if cell.composition in chosen)


def subsets(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return every subset, by size, then name.

    Example:
        >>> subsets(["b", "a"])
        [(), ('a',), ('b',), ('a', 'b')]
    """
    ordered = sorted(names)
    return [subset for size in range(len(ordered) + 1) for subset in combinations(ordered, size)]


def _cell(subset: tuple[str, ...], chosen: Selection) -> Cell:
    relative = tuple(name for name in subset if chosen.objective_of[name] == "relative")
    return Cell.parse({"composition": subset, "objective": "mixed", "relative_on": relative})
