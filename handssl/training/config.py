"""The resolved configuration of one pretraining: what, with the seed and data, fixes its result."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from handssl.augment import REGRESSABLE, AugmentConfig, composition_name
from handssl.augment.config import Transformation
from handssl.config import Config
from handssl.models import EncoderConfig, HeadConfig
from handssl.objectives import ObjectiveName
from handssl.optim import OptimizerConfig


class PretrainConfig(Config):
    """One pretraining run.

    Attributes:
        composition: Transformations that are on, kept in canonical order; empty is valid.
        objective: What the encoder is trained for.
        seed: Initial weights, sample order and every draw of theta follow from it.
        epochs: Passes over the pretraining images; the cosine ends with the last.
        global_batch: Images of one update over all workers; a last smaller batch is left out.
        temperature: tau of Eq. 1.
    """

    composition: tuple[Transformation, ...] = ()
    objective: ObjectiveName = "contrastive"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    epochs: Annotated[int, Field(ge=1, le=10000)] = 100
    global_batch: Annotated[int, Field(ge=2, le=65536)] = 2048
    temperature: Annotated[float, Field(gt=0, le=100)] = 0.5
    encoder: EncoderConfig = EncoderConfig()
    heads: HeadConfig = HeadConfig()
    augmentation: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()

    @field_validator("composition")
    @classmethod
    def _canonical(cls, value: tuple[Transformation, ...]) -> tuple[Transformation, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a transformation is named twice")
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _has_targets(self) -> Self:
        if self.objective == "relative" and not set(self.composition) & set(REGRESSABLE):
            raise ValueError(
                "objective 'relative' needs at least one of "
                f"{', '.join(REGRESSABLE)} in the composition; it is "
                f"'{composition_name(self.composition)}', which has no parameters to predict"
            )
        return self

    @model_validator(mode="after")
    def _warms_up_in_time(self) -> Self:
        if self.optimizer.warmup_epochs >= self.epochs:
            raise ValueError(
                f"optimizer.warmup_epochs must be less than epochs, "
                f"got {self.optimizer.warmup_epochs:g} of {self.epochs}"
            )
        return self
