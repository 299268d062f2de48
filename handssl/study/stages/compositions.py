"""Stage of Sec. 4.3: all compositions, with each transformation on its decided objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from handssl.objectives import ObjectiveName
from handssl.scheduling.skeletons import deal
from handssl.stats.skeleton import Skeletons, check_fraction, subsets
from handssl.study.cell import Cell, Seed, Slug
from handssl.study.stages.base import (
    Mistake,
    Names,
    Selection,
    Selections,
    StageBase,
    composed,
    with_arm,
    with_settings,
)
from handssl.study.stages.findings import Finding
from handssl.study.stages.objectives import ObjectivesStage


class CompositionsStage(StageBase):
    """Every subset of the transformations, each on the objective that its stage has decided.

    The empty composition is a cell like any other. Transformations on both objectives are mixed
    in one pretraining. If hyperparameters were searched, each cell uses those of its objective.

    Attributes:
        kind: `compositions`.
        after: The `objectives` stage whose selection is used.
        transformations: Names of the transformations; default: those of that stage, so 2^7 = 128
            cells.
        skeleton: Number of cells in the orthogonal fraction that is never stopped early, a power of
            two, so that effects can be estimated; each block has a different coset. 0: none.
        design: `halving` trains all compositions and may stop those outside the skeleton;
            `fraction` trains the skeleton alone, to the end: better effects at equal cost, and a
            worse winner, chosen among the trained cells. Each block has another coset, in which
            the effects that a main effect is confounded with have other signs: over blocks they
            cancel in part, and what remains is in the spread over blocks, so in the interval.
        seed: Seed that deals the transformations to the columns of the fraction and the cosets to
            the blocks; None: columns in alphabetical order, cosets 0, 1, 2 and so on, as in plans
            stored before there was this option.
        searched: Settings that cells use after a search: those selected for their `own` objective,
            so that every composition is judged at its best and a composition of one transformation
            is the trial of Sec. 4.2; or those of `mixed` for all cells (`shared`), so that effects
            of a transformation are not confounded with those of a learning rate.
        undecided: Objective of the transformations whose arms are undecided or equivalent, fixed
            before the first result. Stage `swapped` shows what depends on it.

    Reference:
        Paper, Sec. 4.3. Double sampling with a fractional factorial: docs/sweeps.md.
    """

    kind: Literal["compositions"] = "compositions"
    name: Slug = "compositions"
    after: Slug = "objectives"
    transformations: Names | None = None
    skeleton: Annotated[int, Field(ge=0, le=512)] = 16
    design: Literal["halving", "fraction"] = "halving"
    seed: Seed | None = 0
    searched: Literal["own", "shared"] = "own"
    undecided: Literal["contrastive", "relative"] = "contrastive"
    _follows: ClassVar[tuple[str, ...]] = ("objectives",)
    added: ClassVar[Mapping[str, Any]] = {"seed": None, "design": "halving"}

    @field_validator("skeleton")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError(f"expected 0 or a power of two, got {value}")
        return value

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return all subsets, the empty one first, by size and name."""
        chosen = before[self.after]
        names: tuple[str, ...] = self.transformations or chosen.compared
        return tuple(_cell(subset, chosen, self.undecided) for subset in subsets(names))

    def tuned_as(self, cell: Cell) -> ObjectiveName:
        """Return a cell's own objective, or `mixed` if all cells share their settings."""
        return "mixed" if self.searched == "shared" else cell.objective

    def mistakes(self, earlier: Mapping[str, StageBase]) -> list[Mistake]:
        """Return also transformations that were not compared, and a too small skeleton."""
        found, before = super().mistakes(earlier), earlier.get(self.after)
        if isinstance(before, ObjectivesStage):
            names = self.transformations or before.transformations
            if others := [name for name in names if name not in before.transformations]:
                found.append((("transformations",), _not_compared(others, before)))
            if self.skeleton and (message := _cannot(len(names), self.skeleton)):
                found.append((("skeleton",), f"{message}; 0: none"))
        if self.design == "fraction" and not self.skeleton:
            found.append((("skeleton",), "expected the cells of the fraction, got 0"))
        return found

    def trained(self, cells: Sequence[Cell], position: int) -> tuple[Cell, ...]:
        """Return the fraction's cells in the block at this position, or all cells."""
        if self.design == "halving":
            return tuple(cells)
        chosen = self.exempt(cells, position)
        return tuple(cell for cell in cells if cell.label in chosen)

    def decide(self, findings: Sequence[Finding], before: Selections) -> Selection:
        """Return the best cell, and the cells in which undecided transformations are swapped."""
        selection, chosen = self.select(findings), before[self.after]
        if selection.best is None:
            return selection
        names = self.transformations or chosen.compared
        other: ObjectiveName = "contrastive" if self.undecided == "relative" else "relative"
        swaps = {
            name: with_arm(selection.best, name, other)
            for name in chosen.undecided
            if name in names
        }
        tuned = {name: with_settings(c, before, self.tuned_as(c)) for name, c in swaps.items()}
        return selection.model_copy(update={"swaps": tuned})

    def exempt(self, cells: Sequence[Cell], position: int) -> frozenset[str]:
        """Return the labels of the skeleton's coset in the block at this position."""
        if not self.skeleton:
            return frozenset()
        names = {name for cell in cells for name in cell.composition}
        chosen = self.skeletons(names).of(position)
        return frozenset(c.label for c in cells if tuple(sorted(c.composition)) in chosen)

    def select(self, findings: Sequence[Finding]) -> Selection:
        """Return the best of the trained cells; of a fraction, say how many there were."""
        found = super().select(findings)
        return _with_candidates(found, findings) if self.design == "fraction" else found

    def skeletons(self, names: Iterable[str]) -> Skeletons:
        """Return the skeletons of all blocks, given the transformations of the cells."""
        return deal(names, self.skeleton, self.seed)


def _with_candidates(selection: Selection, findings: Sequence[Finding]) -> Selection:
    count = len({finding.cell.label for finding in findings})
    reason = f"design fraction: only the {count} compositions that were trained could be chosen"
    return selection.model_copy(update={"reasons": (*selection.reasons, reason)})


def _not_compared(others: Sequence[str], before: ObjectivesStage) -> str:
    known = ", ".join(before.transformations)
    return f"{', '.join(others)}: expected transformations compared by {before.name}: {known}"


def _cannot(transformations: int, cells: int) -> str:
    try:
        check_fraction(transformations, cells)
    except ValueError as error:
        return str(error)
    return ""


def _cell(subset: tuple[str, ...], chosen: Selection, undecided: ObjectiveName) -> Cell:
    relative = [n for n in subset if chosen.objective_of.get(n, undecided) == "relative"]
    return composed(subset, relative)
