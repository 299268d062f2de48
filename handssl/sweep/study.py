"""A study: cells to compare, seeds to repeat them with, and when a cell may be stopped early."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from handssl.augment import REGRESSABLE, composition_name
from handssl.augment.config import Composition, Transformation
from handssl.config import Config
from handssl.data.config import DataConfig, ProceduralData
from handssl.objectives import INVERTIBLE, ObjectiveName
from handssl.training.config import PretrainConfig

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Cell(Config):
    """One point of a stage's design.

    Attributes:
        composition: The transformations that are on; YAML also takes `rotate+translate`.
        objective: What the encoder is trained for; `mixed` with all on one objective becomes it.
        relative_on: `mixed`: the transformations on the relative objective, the others being on
            the contrastive one.
        exempt: Never stopped early, because it is compared with a rival at equal epochs.

    Example:
        >>> Cell.parse({"composition": "translate+rotate", "objective": "relative"}).label
        'relative rotate+translate'
    """

    composition: Composition = ()
    objective: ObjectiveName = "contrastive"
    relative_on: Composition = ()
    exempt: bool = False

    @property
    def label(self) -> str:
        """What tables and runs call the cell: objective, then composition."""
        if self.objective == "supervised" and not self.composition:
            return "supervised"
        label = f"{self.objective} {composition_name(self.composition)}"
        return f"{label} ({composition_name(self.relative_on)})" if self.relative_on else label

    @field_validator("composition", "relative_on", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return () if value in ("", "none") else tuple(value.split("+"))

    @field_validator("composition", "relative_on")
    @classmethod
    def _canonical(cls, value: tuple[Transformation, ...]) -> tuple[Transformation, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a transformation is named twice")
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _has_parameters(self) -> Self:
        if self.objective == "relative" and not set(self.composition) & set(REGRESSABLE):
            raise ValueError(
                f"objective 'relative' needs one of {', '.join(REGRESSABLE)} in the composition"
            )
        if self.objective == "equivariant" and not set(self.composition) & set(INVERTIBLE):
            raise ValueError(
                f"objective 'equivariant' needs one of {', '.join(INVERTIBLE)} in the composition"
            )
        return self

    @model_validator(mode="after")
    def _divides_its_composition(self) -> Self:
        chosen, others = set(self.relative_on), set(self.composition)
        if self.objective != "mixed" and chosen:
            raise ValueError(f"relative_on belongs to objective 'mixed', not {self.objective!r}")
        if not chosen <= others & set(REGRESSABLE):
            raise ValueError(
                "relative_on: expected transformations of the composition with parameters "
                f"({', '.join(REGRESSABLE)}), got {composition_name(self.relative_on)}"
            )
        if self.objective == "mixed" and (not chosen or chosen == others):
            # All on one objective is that objective: the same trial, under its own name.
            pure = "relative" if chosen else "contrastive"
            self.__dict__.update(objective=pure, relative_on=())
        return self


class Halving(Config):
    """Asynchronous successive halving: at each rung only the best share goes on.

    Attributes:
        grace_epochs: The first rung; no trial stops before it.
        reduction_factor: Rungs are this factor apart, and one in so many survives each.
    """

    grace_epochs: Annotated[int, Field(ge=1)] = 1
    reduction_factor: Annotated[float, Field(ge=1.1, le=100)] = 3.0


class Study(Config):
    """What is compared with what: read from YAML with `Study.load`, or built in Python.

    Attributes:
        name: Of the MLflow experiment.
        stage: Of the parent run.
        data: The images, by what determines them.
        pretrain: What all cells share; composition, objective and seed come from the cells.
        cells: The arms.
        blocks: Seeds; every cell runs once with each.
        halving: When cells without a rival may be stopped; None runs all to the end.
        references: Add mean pose, random encoder and supervised to every block.

    Example:
        >>> Study.parse({"name": "x", "cells": [{"composition": ["rotat"]}]})
        Traceback (most recent call last):
            ...
        handssl.errors.InputError: 1 mistake in Study:
          cells.0.composition.0: unknown name 'rotat'; did you mean 'rotate'?
    """

    name: Slug
    stage: Slug = "objectives"
    data: DataConfig = ProceduralData()
    pretrain: PretrainConfig = PretrainConfig()
    cells: tuple[Cell, ...]
    blocks: tuple[Seed, ...] = (1,)
    halving: Halving | None = Halving()
    references: bool = True

    @field_validator("pretrain")
    @classmethod
    def _leaves_to_cells(cls, value: PretrainConfig) -> PretrainConfig:
        default = PretrainConfig()
        names = ("composition", "objective", "relative_on", "seed")
        taken = [name for name in names if getattr(value, name) != getattr(default, name)]
        if taken:
            raise ValueError(f"{', '.join(taken)} belong to cells and blocks, leave them out here")
        return value

    @field_validator("cells")
    @classmethod
    def _cells_differ(cls, value: tuple[Cell, ...]) -> tuple[Cell, ...]:
        # Not Field(min_length=1): pydantic would add it to the mistakes inside a cell.
        if not value:
            raise ValueError("expected at least 1 cell")
        labels = [cell.label for cell in value]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"listed twice: {', '.join(twice)}")
        return value

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

    def config(self, cell: Cell, block: int) -> PretrainConfig:
        """Return the resolved configuration of a cell in a block.

        Parameters of transformations that are off are at their defaults: they determine nothing.
        """
        values = self.pretrain.model_dump(mode="json")
        kept = {*cell.composition, "border"}
        values["augmentation"] = {k: v for k, v in values["augmentation"].items() if k in kept}
        values |= {"composition": cell.composition, "objective": cell.objective, "seed": block}
        values["relative_on"] = cell.relative_on
        return PretrainConfig.parse(values, where=f"{self.name}, cell {cell.label}")
