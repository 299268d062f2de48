"""Stage of the paper's random grid search: equally many points per objective, on extra seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from handssl.objectives import ObjectiveName
from handssl.randomness import numpy_generator
from handssl.study.cell import Cell, Seed, Slug
from handssl.study.stages.base import Location, Mistake, Names, Selection, Selections, StageBase
from handssl.study.stages.findings import Finding, best_cell
from handssl.training.config import PretrainConfig, is_read

Choices = Annotated[tuple[Any, ...], Field(min_length=1)]
Grid = Mapping[str, tuple[Any, ...]]
_PARTS_OF_MIXED: tuple[ObjectiveName, ...] = ("contrastive", "relative")


class HyperparametersStage(StageBase):
    """Points of a grid, drawn without repetition, for each objective on one composition.

    Points of an objective differ only in options that it reads, so that all are different trials;
    none is ever stopped, or one objective's points would stop the other's. The selected values
    apply to all later stages. Its blocks are seeds that no stage reports, so that reported results
    are not those that were searched on.

    Attributes:
        kind: `hyperparameters`.
        composition: Composition on which points are compared.
        objectives: Objectives with equally many points each. `mixed` has none, see `select`.
        grid: Values of the pretraining's options, by dotted key.
        points: Number of points of the grid for each objective.
        seeds: Seeds of its blocks.
        draw: Seed of the random choice of points.

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
    composition: Names
    objectives: Annotated[tuple[ObjectiveName, ...], Field(min_length=1)] = _PARTS_OF_MIXED
    grid: Annotated[dict[str, Choices], Field(min_length=1)]
    points: Annotated[int, Field(ge=2, le=10_000)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1001,)
    draw: Seed = 1

    @field_validator("composition")
    @classmethod
    def _canonical(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(sorted(value))

    @field_validator("objectives")
    @classmethod
    def _have_points_of_their_own(cls, value: tuple[ObjectiveName, ...]) -> Any:
        if "mixed" in value:
            raise ValueError(
                "'mixed' has no points of its own, it uses the settings selected for contrastive "
                "and relative: leave it out"
            )
        if len(set(value)) != len(value):
            raise ValueError("an objective is named twice")
        return value

    @model_validator(mode="after")
    def _has_enough(self) -> Self:
        for objective in self.objectives:
            size = _size(self._read_by(objective))
            if self.points > size:
                raise ValueError(
                    f"points: expected at most {size}, the size of the grid of options read by "
                    f"objective {objective}, got {self.points}"
                )
        return self

    def blocks(self, common: tuple[int, ...]) -> tuple[int, ...]:
        """Return its own seeds."""
        return self.seeds

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return equally many points for each objective."""
        shared = {"composition": self.composition, "exempt": True}
        return tuple(
            Cell.parse({**shared, "objective": objective, "settings": point})
            for objective in self.objectives
            for point in self._drawn(self._read_by(objective))
        )

    def mistakes_of_trials(self, configs: Sequence[PretrainConfig]) -> list[Mistake]:
        """Return a mistake if points don't differ in anything that their trials depend on."""
        different = len({config.canonical().model_dump_json() for config in configs})
        message = (
            f"expected {len(configs)} points that are different trials, got {different}: leave out "
            "options that don't change anything on this composition"
        )
        return [(("grid",), message)] if different < len(configs) else []

    def origin(self, number: int) -> Location:
        """Return the location of the grid."""
        return ("grid",)

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Select the settings of each objective, and of `mixed`.

        `mixed` gets options that only one of its objectives reads from that one, and options that
        both read, such as learning rate and batch, from the one whose best point has the smaller
        mean.
        """
        found = {
            objective: best_cell([one for one in findings if one.cell.objective == objective])
            for objective in self.objectives
        }
        own = {name: best[0].settings for name, best in found.items() if best}
        better = best_cell([one for one in findings if one.cell.objective in _PARTS_OF_MIXED])
        reasons = [best[1] for best in found.values() if best]
        if better:
            name = better[0].objective
            own["mixed"] = {k: v for part in _PARTS_OF_MIXED for k, v in own.get(part, {}).items()}
            own["mixed"] |= own[name]
            reasons.append(f"mixed cells: as {name} where objectives share a key")
        return Selection(stage=self.name, settings=own, reasons=tuple(reasons))

    def _read_by(self, objective: ObjectiveName) -> Grid:
        return {key: values for key, values in self.grid.items() if is_read(key, objective)}

    def _drawn(self, grid: Grid) -> list[dict[str, Any]]:
        """Return points of a grid; equal grids have equal points."""
        rng = numpy_generator("hyperparameters", self.draw)
        numbers = sorted(rng.permutation(_size(grid))[: self.points].tolist())
        return [_point(grid, number) for number in numbers]


def _size(grid: Grid) -> int:
    return math.prod(map(len, grid.values()))


def _point(grid: Grid, number: int) -> dict[str, Any]:
    point = {}
    for name, choices in sorted(grid.items()):
        number, index = divmod(number, len(choices))
        point[name] = choices[index]
    return point
