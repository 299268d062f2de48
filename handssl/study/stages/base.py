"""Base class of all stages: cells that depend on earlier selections, and a selection rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, PrivateAttr

from handssl.config import Config, nearest
from handssl.data.config import CrossData, DataConfig
from handssl.models import InitConfig
from handssl.objectives import ObjectiveName
from handssl.stats.decision import Decision
from handssl.study.cell import Cell, Slug
from handssl.study.stages.findings import Finding, best_cell, contenders
from handssl.training.config import PretrainConfig, is_read
from handssl.transforms import AugmentConfig, CustomTransformConfig
from handssl.transforms.names import Composition


def _named_once(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise ValueError("a transformation is named twice")
    return value


Names = Annotated[Composition, AfterValidator(_named_once)]
"""Transformations, each once."""
# Kinds of stages that select a best cell.
CHOOSE_A_CELL = (
    "cells",
    "objectives",
    "compositions",
    "swapped",
    "confirmation",
    "cross_dataset",
    "supervised",
)
Location = tuple[str | int, ...]
Mistake = tuple[Location, str]
"""(location in the stage as in YAML, what was expected)."""


class Selection(Config):
    """Selection of a stage, for later stages and for users.

    Attributes:
        stage: Name of the stage.
        objective_of: Objective of each transformation that is decided: the better one, or
            contrastive without parameters to predict.
        decisions: Decision between both objectives, with its numbers, of each transformation with
            parameters; those that are undecided or equivalent are not in `objective_of`.
        best: The best cell; None if no cell was completed.
        contenders: The best cell and the next ones by mean, for a confirmation: those that cannot
            be told from the best, at least one.
        swaps: The best composition with one transformation on its other objective, for each
            undecided transformation of a `compositions` stage.
        encoders: Weights that the best cell has trained, by block, where a later stage starts from
            them; None: not looked up.
        settings: Selected values by dotted key of the pretraining, by objective; those of `mixed`
            also apply to every cell of a `compositions` stage with `searched: shared`.
        reasons: One sentence for each choice, with its numbers.
    """

    stage: Slug
    objective_of: dict[str, ObjectiveName] = Field(default_factory=dict)
    decisions: dict[str, Decision] = Field(default_factory=dict)
    best: Cell | None = None
    contenders: tuple[Cell, ...] = ()
    swaps: dict[str, Cell] = Field(default_factory=dict)
    encoders: dict[int, InitConfig] | None = None
    settings: dict[ObjectiveName, dict[str, Any]] = Field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of all transformations whose objective was asked for."""
        return tuple(dict.fromkeys((*self.objective_of, *self.decisions)))

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of the transformations of which neither objective is better."""
        return tuple(name for name in self.decisions if name not in self.objective_of)


Selections = Mapping[str, Selection]


class StageBase(Config):
    """A set of cells with a rule of selection.

    Attributes:
        name: Name of the stage, unique in a study.
    """

    name: Slug
    _own: tuple[CustomTransformConfig, ...] = PrivateAttr(())
    # Kinds of stages on whose selection its cells can depend.
    _follows: ClassVar[tuple[str, ...]] = ()
    # Whether its trials start from weights that the best cell of an earlier stage has trained.
    takes_encoders: ClassVar[bool] = False
    # Options added after plans were stored, with the value that a plan without the option has.
    added: ClassVar[Mapping[str, Any]] = {}

    def knowing(self, own: tuple[CustomTransformConfig, ...]) -> Self:
        """Return the stage as part of a study with these custom transformations."""
        stage = self.model_copy()
        stage._own = own
        return stage

    @property
    def regressable(self) -> tuple[str, ...]:
        """Transformations with parameters to predict, including custom ones."""
        return AugmentConfig(custom=self._own).regressable

    @property
    def crossings(self) -> tuple[CrossData, ...]:
        """Pairs of datasets on which encoders of the stage are probed."""
        return ()

    @property
    def datasets(self) -> tuple[DataConfig, ...]:
        """Datasets that the stage names itself."""
        return ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the stages on whose selections its cells depend."""
        after = getattr(self, "after", None)
        return (after,) if after else ()

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the cells, given what earlier stages have selected."""
        raise NotImplementedError

    def tuned_as(self, cell: Cell) -> ObjectiveName:
        """Return the objective whose searched settings a cell uses; by default its own."""
        return cell.objective

    def resolved(self, before: Selections) -> tuple[Cell, ...]:
        """Return the cells with the settings selected by earlier searches."""
        return tuple(with_settings(c, before, self.tuned_as(c)) for c in self.cells(before))

    def mistakes(self, earlier: Mapping[str, StageBase]) -> list[Mistake]:
        """Return the mistakes of the stage, given the stages before it.

        Args:
            earlier: The stages before it, by name.
        """
        return [
            (("after",), message)
            for name in self.needs
            if (message := self._refuses(name, earlier))
        ]

    def mistakes_of_trials(self, configs: Sequence[PretrainConfig]) -> list[Mistake]:
        """Return the mistakes of the cells together, given their resolved configurations."""
        return []

    def origin(self, number: int) -> Location:
        """Return the location of a cell's definition in the stage; by default the whole stage."""
        return ()

    def _refuses(self, needed: str, earlier: Mapping[str, StageBase]) -> str:
        if needed not in earlier:
            hint = nearest(needed, earlier) if earlier else ""
            return f"stage {self.name}: after {needed!r}, expected an earlier stage{hint}"
        kind = getattr(earlier[needed], "kind", "")
        if kind in self._follows:
            return ""
        return f"expected a stage of kind {', '.join(self._follows)}; {needed!r} is of kind {kind}"

    def blocks(self, common: tuple[int, ...]) -> tuple[int, ...]:
        """Return the seeds of its blocks, given those of the study."""
        return common

    def trained(self, cells: Sequence[Cell], position: int) -> tuple[Cell, ...]:
        """Return the cells that are trained in the block at this position; by default all."""
        return tuple(cells)

    def in_block(self, cell: Cell, block: int, before: Selections) -> Cell | None:
        """Return a cell as it is trained in a block, by default the same in all.

        Args:
            cell: One of its cells.
            block: Seed of the block.
            before: Selections of earlier stages.

        Returns:
            The cell, whose label doesn't change; None if it is not trained in this block.
        """
        return cell

    def exempt(self, cells: Sequence[Cell], position: int) -> frozenset[str]:
        """Return the labels of the cells that are never stopped in the block at this position."""
        return frozenset(cell.label for cell in cells if cell.exempt)

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Return the selection, based on `select` alone; by default the best cell."""
        best = best_cell(findings)
        if best is None:
            return Selection(stage=self.name, reasons=("no cell completed",))
        found = contenders(findings, best[0])
        return Selection(stage=self.name, best=best[0], contenders=found, reasons=(best[1],))

    def decide(self, findings: Sequence[Finding], before: Selections) -> Selection:
        """Return the selection, given those of earlier stages; by default it needs none."""
        return self.select(findings)


def composed(composition: Iterable[str], relative_on: Iterable[str]) -> Cell:
    """Return the cell of a composition with these transformations on the relative objective.

    Example:
        >>> composed(("rotate", "blur"), ["rotate"]).label
        'mixed blur+rotate (rotate)'
    """
    chosen = {"composition": tuple(composition), "relative_on": tuple(relative_on)}
    return Cell.parse({"objective": "mixed", **chosen})


def arms_of(cell: Cell) -> dict[str, ObjectiveName]:
    """Return the objective of each transformation of a cell, `mixed` or on one objective.

    Example:
        >>> arms_of(composed(("rotate", "blur"), ["rotate"]))
        {'blur': 'contrastive', 'rotate': 'relative'}
    """
    relative = cell.composition if cell.objective == "relative" else cell.relative_on
    return {n: "relative" if n in relative else "contrastive" for n in cell.composition}


def with_arm(cell: Cell, name: str, objective: ObjectiveName) -> Cell:
    """Return a cell with a transformation on an objective, added if it lacks it; no settings.

    Example:
        >>> with_arm(composed(("rotate", "blur"), ["rotate"]), "rotate", "contrastive").label
        'contrastive blur+rotate'
    """
    arms = arms_of(cell) | {name: objective}
    return composed(arms, [one for one, arm in arms.items() if arm == "relative"])


def with_settings(cell: Cell, before: Selections, objective: ObjectiveName | None = None) -> Cell:
    """Return a cell with the settings that earlier stages have selected for its objective.

    Args:
        cell: The cell; its own settings take precedence.
        before: Selections of earlier stages.
        objective: Objective whose settings it uses, as far as its own objective reads them;
            default: its own.

    Example:
        >>> chosen = Selection(stage="h", settings={"relative": {"optimizer.lr_base": 1e-3}})
        >>> with_settings(Cell(composition=("rotate",), objective="relative"), {"h": chosen}).label
        'relative rotate optimizer.lr_base=0.001'
    """
    settings: dict[str, Any] = {}
    for selection in before.values():
        chosen = selection.settings.get(objective or cell.objective, {})
        settings |= {name: v for name, v in chosen.items() if is_read(name, cell.objective)}
    return cell.merged({"settings": settings | cell.settings}) if settings else cell
