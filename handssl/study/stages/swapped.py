"""Stage that shows what depends on the default objective of undecided transformations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from handssl.stats.decision import Pair, decide
from handssl.stats.verdict import rounding_mm
from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import Selection, Selections, StageBase, arms_of
from handssl.study.stages.findings import (
    Finding,
    best_cell,
    contenders,
    final_errors,
    noise_by_cell,
)


class SwappedStage(StageBase):
    """The best composition, and a row for each undecided transformation with its other arm.

    In the grid a transformation that is undecided or equivalent is on the default objective alone.
    Here the best composition has it on the other one, or in addition, if it lacks it. No row is
    stopped early; each is compared with the best composition as the arms of stage `objectives` are.

    Attributes:
        kind: `swapped`.
        after: The `compositions` stage whose best cell is used.
        margin_mm: Margin of equivalence in mm, see stage `objectives`.
    """

    kind: Literal["swapped"] = "swapped"
    name: Slug = "swapped"
    after: Slug = "compositions"
    margin_mm: Annotated[float, Field(ge=0, le=100)] = 1.0
    _follows: ClassVar[tuple[str, ...]] = ("compositions",)

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the best composition, then it with each undecided transformation swapped."""
        chosen = before[self.after]
        rows = (chosen.best, *chosen.swaps.values()) if chosen.best else ()
        return tuple(cell.merged({"exempt": True}) for cell in rows)

    def decide(self, findings: Sequence[Finding], before: Selections) -> Selection:
        """Return the best of the rows, and a decision between both arms of each transformation."""
        cells = self.resolved(before)
        best, names = best_cell(findings), tuple(before[self.after].swaps)
        if best is None or not names:
            return self.select(findings)
        whole, *swapped = cells
        pairs = {
            name: _pair(name, cell, whole, findings)
            for name, cell in zip(names, swapped, strict=True)
        }
        decisions = decide(pairs, margin_mm=self.margin_mm)
        return Selection(
            stage=self.name,
            best=best[0],
            contenders=contenders(findings, best[0]),
            decisions=decisions,
            reasons=(
                *(f"{name} in {whole.label}: {decision}" for name, decision in decisions.items()),
                f"{self.name}, best: {best[1]}",
            ),
        )


def _pair(name: str, swapped: Cell, whole: Cell, findings: Sequence[Finding]) -> Pair:
    """Return a transformation's other arm and the one that the best composition has."""
    errors, noise = final_errors(findings), noise_by_cell(findings)
    ours, theirs = (errors.get(cell.label, {}) for cell in (swapped, whole))
    arms = (arms_of(swapped)[name], arms_of(whole).get(name, f"without {name}"))
    own, other = (noise.get(cell.label, 0.0) for cell in (swapped, whole))
    return Pair(*arms, ours, theirs, rounding_mm(ours, theirs, own, other))
