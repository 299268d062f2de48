"""Stage of Sec. 4.5: comparison with a fully supervised model."""

from __future__ import annotations

from typing import ClassVar, Literal

from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import CHOOSE_A_CELL, Names, Selections, StageBase


class SupervisedStage(StageBase):
    """The best self-supervised cell and supervised cells; none is ever stopped.

    The supervised arms are trained on the labelled images of `probe`: without augmentation, with
    the composition of the best cell, and with the listed compositions.

    Attributes:
        kind: `supervised`.
        after: Name of the stage whose best cell is used.
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
