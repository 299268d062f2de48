"""Sec. 4.3: with each transformation on its better objective, which composition is best?"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field

from handssl.augment.config import Composition
from handssl.sweep.cells import Cell, Slug
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

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return all subsets, the empty one first, by size and name."""
        chosen = before[self.after]
        names: tuple[str, ...] = self.transformations or tuple(chosen.objective_of)
        return tuple(_cell(subset, chosen) for subset in subsets(names))


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
