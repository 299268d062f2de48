"""Sec. 4.5: how does it compare with a fully supervised model?"""

from __future__ import annotations

from typing import ClassVar, Literal

from handssl.sweep.cells import Cell, Slug
from handssl.sweep.stages.base import CHOOSE_A_CELL, Names, Selections, StageBase


class SupervisedStage(StageBase):
    """The best self-supervised cell beside supervised ones; none is ever stopped.

    The supervised arms are trained on the labelled images of `probe`: without augmentation, with
    the composition of the best cell, and with those listed.

    Attributes:
        kind: `supervised`.
        after: The stage whose best cell it is.
        compositions: Further augmentations of the supervised arm.

    Reference:
        Paper, Sec. 4.5.
    """

    kind: Literal["supervised"] = "supervised"
    name: Slug = "supervised"
    after: Slug = "compositions"
    compositions: tuple[Names, ...] = ()
    _follows: ClassVar[tuple[str, ...]] = CHOOSE_A_CELL

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the best cell and the supervised ones."""
        best = before[self.after].best
        listed = (tuple(sorted(names)) for names in self.compositions)
        chosen = {(), *listed, *((best.composition,) if best else ())}
        arms = [
            Cell(composition=composition, objective="supervised", exempt=True)
            for composition in sorted(chosen, key=lambda one: (len(one), one))
        ]
        return (*([best.merged({"exempt": True})] if best else []), *arms)
