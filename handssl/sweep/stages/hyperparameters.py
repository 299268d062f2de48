"""The paper's random grid search: as many points for each objective, in seeds of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from handssl.augment.names import Composition
from handssl.objectives import ObjectiveName
from handssl.randomness import numpy_generator
from handssl.sweep.cells import Cell, Seed, Slug
from handssl.sweep.stages.base import Finding, Selection, Selections, StageBase, best_cell

Choices = Annotated[tuple[Any, ...], Field(min_length=1)]


class HyperparametersStage(StageBase):
    """Points of a grid, drawn without repetition, for each objective on one composition.

    The values chosen hold in all later stages. Its blocks are seeds that no stage reports, so that
    what is reported has not been searched on.

    Attributes:
        kind: `hyperparameters`.
        composition: On which points are compared.
        objectives: For each, the same points.
        grid: Dotted keys of the pretraining to their values.
        points: How many of the grid.
        seeds: Of its blocks.
        draw: Seed of the choice of points.

    Example:
        >>> stage = HyperparametersStage(
        ...     composition=("rotate",), grid={"optimizer.lr_base": (1e-4, 1e-3)}, points=2
        ... )
        >>> [cell.label for cell in stage.cells({})][:1]
        ['contrastive rotate optimizer.lr_base=0.0001']

    Reference:
        Paper, Sec. 4.1.
    """

    kind: Literal["hyperparameters"] = "hyperparameters"
    name: Slug = "hyperparameters"
    composition: Composition
    objectives: Annotated[tuple[ObjectiveName, ...], Field(min_length=1)] = (
        "contrastive",
        "relative",
    )
    grid: Annotated[dict[str, Choices], Field(min_length=1)]
    points: Annotated[int, Field(ge=2, le=10_000)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1001,)
    draw: Seed = 1

    @field_validator("composition")
    @classmethod
    def _canonical(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _has_enough(self) -> Self:
        if self.points > self._size:
            raise ValueError(
                f"points: expected at most {self._size}, the grid's, got {self.points}"
            )
        return self

    @property
    def _size(self) -> int:
        return math.prod(map(len, self.grid.values()))

    def blocks(self, common: tuple[int, ...]) -> tuple[int, ...]:
        """Return its own seeds."""
        return self.seeds

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the same points for each objective."""
        rng = numpy_generator("hyperparameters", self.draw)
        chosen = sorted(rng.permutation(self._size)[: self.points].tolist())
        return tuple(
            Cell(composition=self.composition, objective=objective, settings=self._point(number))
            for objective in self.objectives
            for number in chosen
        )

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Choose the settings of each objective."""
        found = {
            objective: best_cell([one for one in findings if one.cell.objective == objective])
            for objective in self.objectives
        }
        return Selection(
            stage=self.name,
            settings={name: best[0].settings for name, best in found.items() if best},
            reasons=tuple(best[1] for best in found.values() if best),
        )

    def _point(self, number: int) -> dict[str, Any]:
        point = {}
        for name, choices in sorted(self.grid.items()):
            number, index = divmod(number, len(choices))
            point[name] = choices[index]
        return point
