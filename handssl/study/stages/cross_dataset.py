"""Stage of Sec. 4.4: whether pretraining on the union of two datasets helps on the second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from handssl.config import Config
from handssl.data.config import CrossData, DataConfig, Member, OneData, UnionData
from handssl.study.cell import Cell, ProbedCell, Slug
from handssl.study.stages.base import (
    CHOOSE_A_CELL,
    Location,
    Names,
    Selection,
    Selections,
    StageBase,
)
from handssl.study.stages.findings import Finding

Weight = Annotated[float, Field(gt=0, le=1e6)]


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
    """Encoders of the best cell, pretrained on one dataset and on the union of two, across them.

    Encoders, each trained once: the best cell on `first` and on the union of `first` and `second`,
    and supervised cells on `first` and, with `reverse`, on `second`. All have as many updates. For
    each direction (first to second, then reverse) the linear layer is fitted on one dataset alone
    and evaluated on `test` of the other: on both pretrained encoders, and on the supervised one of
    that direction, whose own layer is evaluated too, end to end.

    Attributes:
        kind: `cross_dataset`.
        after: Name of the stage whose best cell is used.
        first: Dataset with the labels of the first direction; mostly that of the study.
        second: The other dataset.
        weights: Weights of `first` and `second` in the union; equal by default, as published.
        more: Further datasets of the union, such as a folder without labels.
        reverse: Whether the reverse direction is measured too.
        supervised: Augmentations of the supervised cells; default: one without.
        sets: Instead of `first` and `second`: other datasets, each compared with the study's, by
            probes on the dataset itself.

    Reference:
        Paper, Sec. 4.4.
    """

    kind: Literal["cross_dataset"] = "cross_dataset"
    name: Slug = "cross_dataset"
    after: Slug = "compositions"
    first: OneData | None = None
    second: OneData | None = None
    weights: tuple[Weight, Weight] = (1.0, 1.0)
    more: tuple[Member, ...] = ()
    reverse: bool = True
    supervised: tuple[Names, ...] = ((),)
    sets: tuple[DataSet, ...] = ()
    _follows: ClassVar[tuple[str, ...]] = CHOOSE_A_CELL
    added: ClassVar[Mapping[str, Any]] = {
        "first": None,
        "second": None,
        "weights": [1.0, 1.0],
        "more": [],
        "reverse": True,
        "supervised": [[]],
    }

    @model_validator(mode="after")
    def _names_two_datasets(self) -> Self:
        both = self.first is not None and self.second is not None
        if both == bool(self.sets) or (self.first is None) != (self.second is None):
            raise ValueError("expected first and second, or sets instead of both")
        return self

    @property
    def datasets(self) -> tuple[DataConfig, ...]:
        """Datasets that the stage names itself."""
        named = (self.first, self.second, *(one.data for one in self.more))
        return (*(one.data for one in self.sets), *(one for one in named if one is not None))

    @property
    def crossings(self) -> tuple[CrossData, ...]:
        """Directions: from the data that a layer is fitted on to the data it is evaluated on."""
        if self.first is None or self.second is None:
            return ()
        there = CrossData(fitted=self.first, evaluated=self.second)
        back = CrossData(fitted=self.second, evaluated=self.first)
        return (there, back) if self.reverse else (there,)

    def cells(self, before: Selections) -> tuple[Cell, ...]:
        """Return all encoders, then the probes of each direction; none is ever stopped."""
        best = before[self.after].best
        if best is None:
            return ()
        repeated = best.merged({"exempt": True})
        if self.sets:
            return (repeated, *(_moved(repeated, one) for one in self.sets))
        pretrained = [_on(repeated, self.first), _on(repeated, self._union)]
        trained = [
            _on(Cell(composition=names, objective="supervised", exempt=True), self._same(one))
            for one in self.crossings
            for names in self.supervised
        ]
        return (*pretrained, *trained, *self._probes(pretrained, trained))

    def _probes(self, pretrained: Sequence[Cell], trained: Sequence[Cell]) -> Iterator[Cell]:
        count = len(self.supervised)
        for number, direction in enumerate(self.crossings):
            own = trained[number * count : (number + 1) * count]
            yield from (_probed(cell, direction) for cell in (*pretrained, *own))
            yield from (_probed(cell, direction, layer="own_layer") for cell in own)

    @property
    def _union(self) -> UnionData:
        assert self.first is not None and self.second is not None  # noqa: S101
        both = zip((self.first, self.second), self.weights, strict=True)
        members = tuple(Member(data=data, weight=weight) for data, weight in both)
        return UnionData(labelled=self.first, pretrain=(*members, *self.more))

    def _same(self, direction: CrossData) -> DataConfig:
        """Return the data of a supervised cell, with as many updates as all others."""
        own = direction.fitted
        if own == self.first:
            return own
        return UnionData(labelled=own, pretrain=(Member(data=own),), like=self.first)

    def decide(self, findings: Sequence[Finding], before: Selections) -> Selection:
        """Return the best cell of the earlier stage: here nothing is chosen on the target."""
        if self.sets:
            return self.select(findings)
        best = before[self.after].best
        reason = f"the best cell of {self.after}: nothing is chosen here, test is only reported"
        return Selection(stage=self.name, best=best, reasons=(reason,))

    def origin(self, number: int) -> Location:
        """Return the location of the settings of a cell's dataset."""
        return ("sets", number - 1, "settings") if number and self.sets else ()


def _moved(cell: Cell, one: DataSet) -> Cell:
    return cell.model_copy(update={"data": one.data, "settings": cell.settings | one.settings})


def _on(cell: Cell, data: DataConfig | None) -> Cell:
    return cell.model_copy(update={"data": data})


def _probed(
    cell: Cell, direction: CrossData, layer: Literal["linear_probe", "own_layer"] = "linear_probe"
) -> ProbedCell:
    values = {name: getattr(cell, name) for name in Cell.model_fields}
    return ProbedCell(**values, probed=direction, layer=layer)
