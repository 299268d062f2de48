"""Resolved configuration of one pretraining, which together with the data determines its result."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from handssl.config import Config
from handssl.errors import InputError
from handssl.models import EncoderConfig, HeadConfig, InitConfig
from handssl.models.config import WrittenInit
from handssl.objectives import (
    EquivariantConfig,
    FinetuneConfig,
    MixedPairs,
    ObjectiveName,
    RelativeConfig,
    Weighting,
    check_equivariant,
)
from handssl.optim import OptimizerConfig
from handssl.transforms import AugmentConfig, composition_name
from handssl.transforms.names import Composition, add_names, names_in_scope


class PretrainConfig(Config):
    """One pretraining run.

    `mixed` with all transformations on one term is replaced by that objective, so that it is the
    same trial.

    Attributes:
        composition: Enabled transformations in canonical order; may be empty.
        objective: Name of the objective.
        seed: Seed of initial weights, sample order and every draw of theta.
        epochs: Number of passes over the pretraining images; the schedule ends with the last.
        global_batch: Number of images per update over all workers; a smaller last batch is left
            out.
        temperature: tau of Eq. 1.
        relative: Options of Eq. 2 and 3.
        relative_on: `mixed`: the transformations R of the relative term, the others in the
            composition belong to the contrastive term; names outside the composition are ignored.
        mixed: `joint` gives both terms the same pair of views, and thus also requires invariance to
            R; `split` gives each its own pair.
        contrastive_weight: `mixed`: weighting of the contrastive term, as `relative.weighting`.
        equivariant: Options of `equivariant`.
        finetune: Fine-tuning, for `supervised`; None: the encoder is trained on all labels and
            measured by the ridge probe.
        equal_views: Whether an epoch of an objective with four views has half as many steps, so
            that arms are compared after equally many encoded views.
        accumulation: Number of backward passes per update. Each has its own negatives and BatchNorm
            statistics, so this changes the experiment; for batches that do not fit otherwise.
        batch_norm: Statistics of the global batch (`global`), or of each worker's rows (`local`),
            which makes the result depend on the number of workers.
        init: Initial weights of the encoder: `random`, a file or a run.
        noise_repeat: Number of a repeat of `handssl study noise`, which differs from the trial in
            rounding alone (see `handssl.training.rounding`); 0: the trial itself.
    """

    # Before all fields that name transformations: it defines the names of custom ones.
    augmentation: AugmentConfig = AugmentConfig()
    composition: Composition = ()
    objective: ObjectiveName = "contrastive"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    epochs: Annotated[int, Field(ge=1, le=10000)] = 100
    global_batch: Annotated[int, Field(ge=2, le=65536)] = 2048
    temperature: Annotated[float, Field(gt=0, le=100)] = 0.5
    relative: RelativeConfig = RelativeConfig()
    relative_on: Composition = ()
    mixed: MixedPairs = "joint"
    contrastive_weight: Weighting = "learned"
    equivariant: EquivariantConfig = EquivariantConfig()
    finetune: FinetuneConfig | None = None
    equal_views: bool = True
    accumulation: Annotated[int, Field(ge=1, le=1024)] = 1
    batch_norm: Literal["global", "local"] = "global"
    encoder: EncoderConfig = EncoderConfig()
    init: WrittenInit = InitConfig()
    noise_repeat: Annotated[int, Field(ge=0, le=9999)] = 0
    heads: HeadConfig = HeadConfig()
    optimizer: OptimizerConfig = OptimizerConfig()

    @model_validator(mode="wrap")
    @classmethod
    def _knows_its_own(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        with names_in_scope():
            return handler(values)

    @field_validator("augmentation")
    @classmethod
    def _names_its_own(cls, value: AugmentConfig) -> AugmentConfig:
        add_names(one.name for one in value.custom)
        return value

    @field_validator("composition", "relative_on")
    @classmethod
    def _canonical(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a transformation is named twice")
        return tuple(sorted(value))

    @field_validator("relative_on")
    @classmethod
    def _regressable(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "augmentation" not in info.data:  # a mistake there is already reported
            return value
        regressable = info.data["augmentation"].regressable
        without = [name for name in value if name not in regressable]
        if without:
            raise ValueError(
                f"{', '.join(without)} has no parameters to predict; "
                f"expected some of {', '.join(regressable)}"
            )
        return value

    @model_validator(mode="after")
    def _resolved(self) -> Self:
        """Bring `mixed` to canonical form, before any other rule uses the objective."""
        if self.objective == "mixed":
            # The fields are frozen, but this instance is still under construction.
            self.__dict__.update(_resolve_mixed(self))
        return self

    @model_validator(mode="after")
    def _has_targets(self) -> Self:
        regressable = self.augmentation.regressable
        if self.objective == "relative" and not set(self.composition) & set(regressable):
            raise ValueError(
                "objective 'relative' needs at least one of "
                f"{', '.join(regressable)} in the composition; it is "
                f"'{composition_name(self.composition)}', which has no parameters to predict"
            )
        return self

    @model_validator(mode="after")
    def _has_something_to_undo(self) -> Self:
        if self.objective == "equivariant":
            try:
                check_equivariant(self.composition, self.heads.projection_out)
            except InputError as error:
                raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _projects_what_it_has(self) -> Self:
        if self.heads.projection == "soft_argmax" and self.encoder.name == "resnet18":
            raise ValueError(
                "heads.projection 'soft_argmax' needs an encoder of maps, e.g. encoder.name: "
                "heatmap; expected mlp for pooled features"
            )
        if self.heads.projection == "soft_argmax" and self.heads.projection_out % 2:
            raise ValueError(
                "heads.projection 'soft_argmax' needs an even heads.projection_out, two "
                f"coordinates for each point, got {self.heads.projection_out}"
            )
        return self

    @model_validator(mode="after")
    def _divides_the_batch(self) -> Self:
        if self.global_batch < 2 * self.accumulation:
            raise ValueError(
                f"accumulation must leave two images for each pass, got {self.accumulation} passes "
                f"for global_batch {self.global_batch}"
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

    @model_serializer(mode="wrap")
    def _without_added(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records and identities of trials without an option that was added later don't change.
        values: dict[str, Any] = handler(self)
        return {n: v for n, v in values.items() if n not in _ADDED or v is not None}

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder keeps its initial weights and statistics, and heads alone learn."""
        return self.optimizer.layer_decay == 0

    @property
    def is_finetuned(self) -> bool:
        """Whether it is a fine-tuning, measured by its own head."""
        return self.objective == "supervised" and self.finetune is not None

    def canonical(self) -> Self:
        """Return the configuration with defaults for every option that its objective does not use.

        Equivalent configurations become equal. Initial weights are their digest: where they lay,
        `init.weights`, is left out, so moving a file changes no identity.

        Example:
            >>> PretrainConfig(mixed="split").canonical() == PretrainConfig()
            True
        """
        values = self.model_dump()
        for name in set().union(*_READ.values()) - _READ[self.objective]:
            values.pop(name, None)
        return self.parse({**values, "init": self.init.content().model_dump()})


def same_content(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a resolved configuration without the place of its initial weights.

    Example:
        >>> one = {"init": {"weights": "a.pth", "digest": "0" * 32}, "seed": 1}
        >>> same_content(one)["init"]["weights"]
        ''
    """
    if "init" not in values:
        return values
    return {**values, "init": InitConfig.parse(values["init"]).content().model_dump()}


# Options that are left out where they are None.
_ADDED = {"finetune"}
# Options that only some objectives use.
_MIXED_ALONE = {"relative_on", "mixed", "contrastive_weight", "equal_views"}
_READ: dict[ObjectiveName, set[str]] = {
    "contrastive": {"temperature"},
    "relative": {"relative"},
    "mixed": {"temperature", "relative", *_MIXED_ALONE},
    "equivariant": {"temperature", "equivariant"},
    "supervised": {"finetune"},
}


def is_read(option: str, objective: ObjectiveName) -> bool:
    """Return whether an objective uses an option.

    Args:
        option: Dotted key of the pretraining configuration.
        objective: Name of the objective.

    Example:
        >>> is_read("relative.weighting", "contrastive"), is_read("optimizer.lr_base", "relative")
        (False, True)
    """
    name = option.split(".")[0]
    return name in _READ[objective] or not any(name in read for read in _READ.values())


def _resolve_mixed(config: PretrainConfig) -> dict[str, Any]:
    """Return the fields to change: R within the composition, or a single objective."""
    chosen = tuple(name for name in config.relative_on if name in config.composition)
    if chosen and chosen != config.composition:
        return {"relative_on": chosen}
    fields = PretrainConfig.model_fields
    defaults = {name: fields[name].default for name in _MIXED_ALONE}
    return {"objective": "relative" if chosen else "contrastive", **defaults}
