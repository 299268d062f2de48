"""A cell: one point of a stage's design."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from handssl.config import Config
from handssl.data.config import CrossData, DataConfig, ProceduralData, UnionData
from handssl.ledger.references import ProbeKind
from handssl.objectives import INVERTIBLE, ObjectiveName
from handssl.transforms import REGRESSABLE, composition_name, may_regress
from handssl.transforms.names import OWN_NAME, Composition

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
_WRITTEN = {
    "anyOf": [
        {"type": "array", "items": {"type": "string", "pattern": OWN_NAME}, "uniqueItems": True},
        {"type": "string", "examples": ["rotate+translate", "none"]},
    ]
}
Written = Annotated[Composition, WithJsonSchema(_WRITTEN)]
"""A composition as users write it: a list, or names joined by +."""


class Cell(Config):
    """One point of a stage's design.

    Attributes:
        composition: The transformations that are on; YAML also accepts `rotate+translate`.
        objective: Training objective; `mixed` with all transformations on one objective becomes
            that objective.
        relative_on: For `mixed`: the transformations on the relative objective; the others are on
            the contrastive one.
        exempt: Never stopped early, because it is compared with another cell at equal epochs.
        settings: Dotted keys of the pretraining configuration that differ from the study's.
        data: The dataset; None: the study's.

    Example:
        >>> Cell.parse({"composition": "translate+rotate", "objective": "relative"}).label
        'relative rotate+translate'
    """

    composition: Written = ()
    objective: ObjectiveName = "contrastive"
    relative_on: Written = ()
    exempt: bool = False
    settings: dict[str, Any] = Field(default_factory=dict)
    data: DataConfig | None = None

    @property
    def label(self) -> str:
        """Name of the cell in tables and runs: objective, then composition."""
        words = [self.objective, *([] if self._is_plain else [composition_name(self.composition)])]
        if self.relative_on:
            words.append(f"({composition_name(self.relative_on)})")
        words += [f"{name}={_shown(value)}" for name, value in sorted(self.settings.items())]
        return " ".join([*words, *([f"on {data_name(self.data)}"] if self.data else [])])

    @property
    def _is_plain(self) -> bool:
        return self.objective == "supervised" and not self.composition

    @field_validator("composition", "relative_on", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return () if value in ("", "none") else tuple(value.split("+"))

    @field_validator("composition", "relative_on")
    @classmethod
    def _canonical(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a transformation is named twice")
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _has_parameters(self) -> Self:
        if self.objective == "relative" and not any(map(may_regress, self.composition)):
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
        if not chosen <= set(filter(may_regress, others)):
            raise ValueError(
                "relative_on: expected transformations of the composition with parameters "
                f"({', '.join(REGRESSABLE)}), got {composition_name(self.relative_on)}"
            )
        if self.objective == "mixed" and (not chosen or chosen == others):
            # All on one objective is that objective: the same trial, under that name.
            pure = "relative" if chosen else "contrastive"
            self.__dict__.update(objective=pure, relative_on=())
        return self


class ProbedCell(Cell):
    """A probe of the encoder of a cell on other data; it trains nothing.

    Attributes:
        probed: Where the linear layer is fitted, and where it is evaluated.
        layer: `linear_probe` fits a ridge on the frozen encoder; `own_layer` takes the layer that
            a supervised cell has trained with its encoder.

    Example:
        >>> across = {"name": "cross", "fitted": {"name": "a"}, "evaluated": {"name": "b"}}
        >>> ProbedCell.parse({"objective": "supervised", "probed": across}).label
        'supervised, linear layer a to b'
    """

    probed: CrossData
    layer: ProbeKind = "linear_probe"

    @property
    def label(self) -> str:
        """Name of the cell: that of the encoder's cell, the layer, both datasets."""
        kind = "linear layer" if self.layer == "linear_probe" else "own layer"
        return f"{super().label}, {kind} {data_name(self.probed)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "digest" in value:  # resolved initial weights
        return value.get("weights") or value["digest"] or "random"
    return f"{value:g}" if isinstance(value, float) else str(value)


def data_name(data: DataConfig) -> str:
    """Return a dataset's name in tables, with the pretraining dataset if that differs.

    Example:
        >>> from handssl.data.config import PackedData
        >>> data_name(PackedData.parse({"name": "freihand", "pretrain": {"name": "interhand"}}))
        'freihand after interhand'
    """
    if isinstance(data, UnionData):
        own, members = data_name(data.labelled), _members(data)
        return own if own == members else f"{own} after {members}"
    if isinstance(data, CrossData):
        return f"{data_name(data.fitted)} to {data_name(data.evaluated)}"
    if isinstance(data, ProceduralData):
        return f"{data.name} hard" if data.level == "hard" else data.name
    return f"{data.name} after {data.pretrain.name}" if data.pretrain else data.name


def _members(data: UnionData) -> str:
    names = " + ".join(data_name(one.data) for one in data.pretrain)
    weights = [one.weight for one in data.pretrain]
    weighted = "" if len(set(weights)) == 1 else ":".join(f"{one:g}" for one in weights)
    return f"{names} ({weighted})" if weighted else names
