"""What every kind of stage has: cells that follow from earlier choices, and a choice of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, PrivateAttr

from handssl.augment import AugmentConfig, Own
from handssl.augment.names import Composition
from handssl.config import Config, nearest
from handssl.objectives import ObjectiveName
from handssl.sweep.cells import Cell, Slug
from handssl.sweep.stages.findings import Finding, best_cell
from handssl.training.config import PretrainConfig, is_read


def _named_once(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise ValueError("a transformation is named twice")
    return value


Names = Annotated[Composition, AfterValidator(_named_once)]
"""Transformations, each once."""
# Kinds of stages that choose a best cell.
CHOOSE_A_CELL = ("cells", "objectives", "compositions", "cross_dataset", "supervised")
Location = tuple[str | int, ...]
Mistake = tuple[Location, str]
"""Where in a stage, as in YAML, and what was expected."""


class Selection(Config):
    """What a stage has chosen, for the stages after it and for people.

    Attributes:
        stage: Which stage.
        objective_of: The better objective of each transformation.
        best: The best cell.
        settings: For each objective, dotted keys of the pretraining with the values chosen; those
            of `mixed` are also what every cell of a `compositions` stage takes.
        reasons: One sentence for each choice, with its numbers.
    """

    stage: Slug
    objective_of: dict[str, ObjectiveName] = Field(default_factory=dict)
    best: Cell | None = None
    settings: dict[ObjectiveName, dict[str, Any]] = Field(default_factory=dict)
    reasons: tuple[str, ...] = ()


Selections = Mapping[str, Selection]


class StageBase(Config):
    """A set of cells with a rule of selection.

    Attributes:
        name: Of the stage, once in a study.
    """

    name: Slug
    _own: tuple[Own, ...] = PrivateAttr(())
    # Kinds of stages whose choice its cells can follow from.
    _follows: ClassVar[tuple[str, ...]] = ()

    def knowing(self, own: tuple[Own, ...]) -> Self:
        """Return the stage as part of a study with these own transformations."""
        stage = self.model_copy()
        stage._own = own
        return stage

    @property
    def regressable(self) -> tuple[str, ...]:
        """Transformations with parameters to predict, own ones included."""
        return AugmentConfig(own=self._own).regressable

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the stages whose selections its cells follow from."""
        after = getattr(self, "after", None)
        return (after,) if after else ()

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the cells, given what earlier stages have selected."""
        raise NotImplementedError

    def tuned_as(self, cell: Cell) -> ObjectiveName:
        """Return the objective whose searched settings a cell takes; by default its own."""
        return cell.objective

    def resolved(self, before: Selections) -> tuple[Cell, ...]:
        """Return the cells with the settings that searches before it have chosen."""
        return tuple(with_settings(c, before, self.tuned_as(c)) for c in self.cells(before))

    def mistakes(self, earlier: Mapping[str, StageBase]) -> list[Mistake]:
        """Return what is wrong with the stage, seen after those before it.

        Args:
            earlier: The stages before it, by name.
        """
        return [(("after",), said) for name in self.needs if (said := self._refuses(name, earlier))]

    def mistakes_of_trials(self, configs: Sequence[PretrainConfig]) -> list[Mistake]:
        """Return what is wrong with the cells together, seen from what each trains with."""
        return []

    def origin(self, number: int) -> Location:
        """Return the part of the stage that a cell comes from, as a path; by default all of it."""
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

    def exempt(self, cells: Sequence[Cell], position: int) -> frozenset[str]:
        """Return the labels of the cells that are never stopped in the block at this position."""
        return frozenset(cell.label for cell in cells if cell.exempt)

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Choose, on `select` alone; by default the best cell."""
        best = best_cell(findings)
        if best is None:
            return Selection(stage=self.name, reasons=("no cell completed",))
        return Selection(stage=self.name, best=best[0], reasons=(best[1],))


def with_settings(cell: Cell, before: Selections, objective: ObjectiveName | None = None) -> Cell:
    """Return a cell with the settings that earlier stages have chosen for its objective.

    Args:
        cell: The cell; its own settings hold.
        before: What earlier stages have chosen.
        objective: Whose settings it takes, as far as its own objective reads them; default: its
            own.

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
