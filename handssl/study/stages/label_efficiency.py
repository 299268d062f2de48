"""Stage of label efficiency: what the winner's encoder is worth when labels are few."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import CHOOSE_A_CELL, Names, Selections, StageBase

Share = Annotated[float, Field(gt=0, le=1)]
Arm = Literal["scratch", "finetuned", "frozen", "random"]
_FROZEN: dict[str, Any] = {"optimizer.layer_decay": 0, "finetune.readout": "probe"}


class LabelEfficiencyStage(StageBase):
    """Fine-tuning of the best cell's encoders on shares of the labels, with its competitors.

    In each block every arm is trained with the same labels, views and number of updates, and the
    encoder is the one that the best cell has already trained with the same seed: none is trained
    again. A block in which that cell was stopped has no encoder and lacks the arms that need one.

    Attributes:
        kind: `label_efficiency`.
        after: Name of the stage whose best cell is used.
        labels: Shares of the labels of `probe`, each part of the larger ones.
        arms: `scratch`, end to end from the study's initial weights; `finetuned`, end to end from
            the best cell's encoder; `frozen`, a ridge probe on that encoder; `random`, a ridge
            probe on the initial weights.
        composition: Transformations of labelled images.
        layer_decay: Factor between the rates of neighbouring layers in the arm `finetuned`.
        settings: Dotted keys of the pretraining that all arms have, e.g. a learning rate.

    Reference:
        T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A simple framework for contrastive learning
        of visual representations", ICML 2020, Sec. 6.
    """

    kind: Literal["label_efficiency"] = "label_efficiency"
    name: Slug = "label_efficiency"
    after: Slug = "compositions"
    labels: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.01, 0.1, 1.0)
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)] = (
        "scratch",
        "finetuned",
        "frozen",
        "random",
    )
    composition: Names = ("rotate", "translate")
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    settings: dict[str, Any] = Field(default_factory=dict)
    takes_encoders: ClassVar[bool] = True
    _follows: ClassVar[tuple[str, ...]] = CHOOSE_A_CELL

    @field_validator("labels", "arms")
    @classmethod
    def _differ(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) != len(value):
            raise ValueError("listed twice")
        return value

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return every arm at every share, the arms of a share together."""
        best = before[self.after].best
        shared = self.settings if best is None else _of_encoder(best) | self.settings
        return tuple(
            Cell(
                composition=tuple(sorted(self.composition)),
                objective="supervised",
                exempt=True,
                settings={**shared, "finetune.labels": share, **self._arm(arm)},
            )
            for share in self.labels
            for arm in self.arms
            if best is not None or arm in ("scratch", "random")
        )

    def in_block(self, cell: Cell, block: int, before: Selections) -> Cell | None:
        """Return a cell with the encoder of the block; None if the block has none."""
        known = before[self.after].encoders
        if "init" not in cell.settings or known is None:
            return cell
        if block not in known:
            return None
        init = known[block].model_dump()
        return cell.model_copy(update={"settings": {**cell.settings, "init": init}})

    def _arm(self, arm: Arm) -> dict[str, Any]:
        init = {"init": self.after} if arm in ("finetuned", "frozen") else {}
        decay = self.layer_decay
        rates = {"optimizer.layer_decay": decay} if arm == "finetuned" and decay < 1 else {}
        return {**init, **rates, **(_FROZEN if arm in ("frozen", "random") else {})}


def _of_encoder(cell: Cell) -> dict[str, Any]:
    return {name: one for name, one in cell.settings.items() if name.startswith("encoder.")}
