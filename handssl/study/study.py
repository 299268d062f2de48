"""Configuration of a study: stages of cells to compare, seeds, and halving."""

from __future__ import annotations

from itertools import takewhile
from typing import Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)

from handssl.config import Config, mistake
from handssl.data.config import DataConfig, ProceduralData
from handssl.scheduling.halving import Rules
from handssl.scheduling.halving.rules import Order
from handssl.study.cell import Cell, Seed, Slug
from handssl.study.stages import CellsStage, Selections, Stage, StageBase
from handssl.study.stages.base import Mistake
from handssl.study.stages.explicit import cells_differ
from handssl.study.stages.validation import mistakes_of
from handssl.training.config import PretrainConfig
from handssl.transforms import TRANSFORMATIONS
from handssl.transforms.names import add_names, names_in_scope

__all__ = ["Cell", "Halving", "Seed", "Slug", "Study"]
_OF_CELLS = ("composition", "objective", "relative_on", "seed")
_NINE = {"items": {"enum": list(TRANSFORMATIONS)}}
_CELLS = {"items": {"properties": {"composition": _NINE, "relative_on": _NINE}}}
_STAGES = {
    "items": {
        "properties": {
            "all": _CELLS,
            "composition": _NINE,
            "compositions": {"items": _NINE},
            "transformations": _NINE,
        }
    }
}
_USED = {
    "hyperparameters": "blocks that are reported",
    "confirmation": "blocks of an earlier stage, which have selected",
}
_LISTS_CUSTOM = {"required": ["custom"]}
# An editor doesn't know names of custom transformations; without any it can mark a wrong name.
NAMES: dict[str, Any] = {
    "if": {
        "properties": {
            "pretrain": {
                "properties": {"augmentation": _LISTS_CUSTOM},
                "required": ["augmentation"],
            }
        },
        "required": ["pretrain"],
    },
    "else": {"properties": {"cells": _CELLS, "stages": _STAGES}},
}


class Halving(Config):
    """Successive halving: only the best share of trials continues from each rung.

    Attributes:
        grace_epochs: Epoch of the first rung; no trial stops before it.
        reduction_factor: Rungs are this factor apart, and one in this many trials continues from
            each.
        order: `cohort` decides a rung when all trials of a cohort have reached it, so that
            survivors depend on the results alone; `arrival` judges each trial against those that
            arrived before it, which keeps more workers busy but is repeatable only with the same
            log.
        cohort: Number of trials that are compared with each other, assigned within a block by a
            seeded shuffle; None: the whole block.
    """

    grace_epochs: Annotated[int, Field(ge=1)] = 1
    reduction_factor: Annotated[float, Field(ge=1.1, le=100)] = 3.0
    order: Order = "cohort"
    cohort: Annotated[int, Field(ge=2)] | None = None

    def rules(self, epochs: int) -> Rules:
        """Return the rules for trials with this number of epochs."""
        return Rules(epochs, self.grace_epochs, self.reduction_factor, self.order, self.cohort)


class Study(Config):
    """Configuration of a study: read from YAML with `Study.load`, or built in Python.

    Attributes:
        name: Name of the MLflow experiment.
        data: Configuration of the dataset.
        pretrain: Settings that all cells share; composition, objective and seed come from the
            cells.
        stages: Stages in order; the cells of one may depend on the selection of an earlier one.
        stage: With `cells`, instead of `stages`: the name of the only stage.
        cells: Cells of the only stage.
        blocks: Seeds; every cell runs once with each.
        halving: Rules by which cells that are not exempt may be stopped; None: all run to the end.
        references: Whether to add the references: supervised and random encoder in every block;
            once mean pose, the same at the true in-plane angle, and ridges on 16 x 16 RGB pixels
            and on HOG features.

    Example:
        >>> Study.parse({"name": "x", "cells": [{"composition": ["rotat"]}]})
        Traceback (most recent call last):
            ...
        handssl.errors.InputError: 1 mistake in Study:
          cells.0.composition.0: unknown name 'rotat'; did you mean 'rotate'?
    """

    model_config = ConfigDict(json_schema_extra=NAMES)

    name: Slug
    data: DataConfig = ProceduralData()
    pretrain: PretrainConfig = PretrainConfig()
    stages: tuple[Stage, ...] = ()
    stage: Slug = "objectives"
    cells: tuple[Cell, ...] = ()
    blocks: tuple[Seed, ...] = (1,)
    halving: Halving | None = Halving()
    references: bool = True

    @model_validator(mode="wrap")
    @classmethod
    def _knows_its_own(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        with names_in_scope():
            return handler(values)

    @field_validator("pretrain")
    @classmethod
    def _names_its_own(cls, value: PretrainConfig) -> PretrainConfig:
        add_names(one.name for one in value.augmentation.custom)
        return value

    @field_validator("pretrain")
    @classmethod
    def _leaves_to_cells(cls, value: PretrainConfig) -> PretrainConfig:
        default = PretrainConfig()
        taken = [name for name in _OF_CELLS if getattr(value, name) != getattr(default, name)]
        if taken:
            raise ValueError(f"{', '.join(taken)} belong to cells and blocks, leave them out here")
        return value

    @field_validator("cells")
    @classmethod
    def _cells_differ(cls, value: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return cells_differ(value) if value else value

    @field_validator("blocks")
    @classmethod
    def _blocks_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("expected at least 1 block, none of them listed twice")
        return value

    @model_validator(mode="after")
    def _grace_within_epochs(self) -> Self:
        if self.halving and self.halving.grace_epochs > self.pretrain.epochs:
            raise ValueError(
                f"halving.grace_epochs must be at most pretrain.epochs = {self.pretrain.epochs}, "
                f"got {self.halving.grace_epochs}"
            )
        return self

    @model_validator(mode="after")
    def _either_stages_or_cells(self) -> Self:
        if bool(self.stages) == bool(self.cells):
            raise ValueError(
                "expected stages or cells, got both"
                if self.cells
                else "expected at least 1 cell, or stages"
            )
        return self

    @model_validator(mode="after")
    def _tells_stages_of_its_own(self) -> Self:
        if own := self.pretrain.augmentation.custom:
            # The fields are frozen for users; this instance is not visible to them yet.
            self.__dict__["stages"] = tuple(stage.knowing(own) for stage in self.stages)
        return self

    @model_validator(mode="after")
    def _stages_can_be_run(self) -> Self:
        if found := [*self._seeds_shared(), *self._mistakes_of_stages()]:
            title = type(self).__name__
            raise ValidationError.from_exception_data(title, [mistake(*one) for one in found])
        return self

    def _seeds_shared(self) -> list[Mistake]:
        """Return mistakes of searches on seeds that are reported, and of confirmations on others.

        A search must not see the seeds of the blocks, a confirmation none that selected anything.
        """
        found: list[Mistake] = []
        for number, stage in enumerate(self.stages):
            others = {seed for one in self.stages[:number] for seed in one.blocks(self.blocks)}
            used = {"hyperparameters": set(self.blocks), "confirmation": others}.get(stage.kind)
            if shared := set(stage.blocks(self.blocks)) & (used or set()):
                message = f"seeds {sorted(shared)} are {_USED[stage.kind]}, choose others"
                found.append((("stages", number, "seeds"), message))
        return found

    def _mistakes_of_stages(self) -> list[Mistake]:
        found = mistakes_of(self.all_stages, lambda cell: self.config(cell, self.blocks[0]))
        if self.stages:
            return [(("stages", *where), message) for where, message in found]
        return [(("cells", *where[2:]), message) for where, message in found]

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The stages; a study with cells only has one."""
        return self.stages or (CellsStage(name=self.stage, all=self.cells),)

    def needs(self, stage: StageBase) -> tuple[str, ...]:
        """Return the names of the stages whose selections determine the trials of a stage.

        Besides those its cells depend on, these are all searches before it: every later trial uses
        the settings they have selected.

        Args:
            stage: One of the study's stages.
        """
        before = takewhile(lambda one: one.name != stage.name, self.all_stages)
        searches = (one.name for one in before if one.kind == "hyperparameters")
        return tuple(dict.fromkeys((*stage.needs, *searches)))

    def resolve(self, stage: StageBase, before: Selections) -> tuple[Cell, ...]:
        """Return the cells of a stage, given the selections of earlier stages."""
        return stage.resolved(before)

    def config(self, cell: Cell, block: int) -> PretrainConfig:
        """Return the resolved configuration of a cell in a block.

        Parameters of transformations that are off are set to their defaults: they have no effect.
        """
        values = self.pretrain.merged(cell.settings).model_dump(mode="json")
        augmentation = values["augmentation"]
        for name in set(TRANSFORMATIONS) - set(cell.composition):
            del augmentation[name]
        augmentation["custom"] = [
            one for one in augmentation["custom"] if one["name"] in cell.composition
        ]
        values |= {"composition": cell.composition, "objective": cell.objective, "seed": block}
        values["relative_on"] = cell.relative_on
        return PretrainConfig.parse(values, where=f"{self.name}, cell {cell.label}")
