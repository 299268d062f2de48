"""Stage of Sec. 4.4: transfer of pretraining on more unlabelled hands to another dataset."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from handssl.config import Config
from handssl.data.config import DataConfig
from handssl.study.cell import Cell, Slug
from handssl.study.stages.base import CHOOSE_A_CELL, Location, Selections, StageBase


class DataSet(Config):
    """Dataset to pretrain and to probe on.

    Attributes:
        data: Configuration of the dataset.
        settings: Dotted keys of the pretraining that differ there. Larger sets have more updates
            per epoch: to compare at equal updates, set `{epochs: ...}`.
    """

    data: DataConfig
    settings: dict[str, Any] = Field(default_factory=dict)


class CrossDatasetStage(StageBase):
    """The best cell of an earlier stage on other datasets, compared with the study's dataset.

    Attributes:
        kind: `cross_dataset`.
        after: Name of the stage whose best cell is used.
        sets: The other datasets.

    Reference:
        Paper, Sec. 4.4.
    """

    kind: Literal["cross_dataset"] = "cross_dataset"
    name: Slug = "cross_dataset"
    after: Slug = "compositions"
    sets: Annotated[tuple[DataSet, ...], Field(min_length=1)]
    _follows: ClassVar[tuple[str, ...]] = CHOOSE_A_CELL

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return the best cell on the study's data, then on each set; none is ever stopped."""
        best = before[self.after].best
        if best is None:
            return ()
        repeated = best.merged({"exempt": True})
        return (repeated, *(_moved(repeated, one) for one in self.sets))

    def origin(self, number: int) -> Location:
        """Return the location of the settings of a cell's dataset."""
        return ("sets", number - 1, "settings") if number else ()


def _moved(cell: Cell, one: DataSet) -> Cell:
    return cell.model_copy(update={"data": one.data, "settings": cell.settings | one.settings})
