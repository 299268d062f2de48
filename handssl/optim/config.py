"""Configuration of the optimizer, with the defaults of every optimizer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from handssl.config import Config
from handssl.optim.groups import Masks
from handssl.optim.schedules import DECAY_SHARE, ScheduleName

OptimizerName = Literal["adam", "adam_larc", "lars", "lamb"]
LarsPreset = Literal["paper", "large_batch"]
Share = Annotated[float, Field(ge=0, lt=1)]

# Options of each optimizer besides rate and decay, with their defaults.
DEFAULTS: dict[str, dict[str, Any]] = {
    "adam": {"betas": (0.9, 0.999), "eps": 1e-8},
    "adam_larc": {"betas": (0.9, 0.999), "eps": 1e-8, "trust_coefficient": 0.02},
    "lars": {"momentum": 0.9, "trust_coefficient": 0.001, "preset": "paper"},
    "lamb": {"betas": (0.9, 0.999), "eps": 1e-6},
}
_SCHEDULE_DEFAULTS: dict[str, dict[str, Any]] = {
    "cosine": {},
    "wsd": {"decay_share": DECAY_SHARE},
}
_ALWAYS = ("name", "lr_base", "weight_decay", "warmup_epochs")


class OptimizerConfig(Config):
    """Optimizer, schedule and their options.

    An omitted option has the default of the optimizer or schedule. An option that the optimizer or
    schedule does not have is an error; one given at its default counts as omitted, so that
    equivalent configurations are equal. `lr_base` has one default for all optimizers, suited to the
    variants of Adam; `lars` scales it by a trust coefficient of 0.001 and needs far larger values.

    Attributes:
        name: Optimizer: `adam`; `adam_larc`, Adam after a clip by trust ratio, which
            never acts in runs as small as the demo; `lars`, SGD with momentum and trust ratios;
            `lamb`, Adam's update with trust ratios.
        lr_base: Learning rate for a batch of one; the rate used is lr_base x sqrt(global batch).
        weight_decay: Decay of weights; added to the gradient, for `lamb` to Adam's update.
        warmup_epochs: Number of epochs of linear warm-up.
        masks: Selection of decayed and adapted tensors: `module`, only weights of convolutions and
            linear layers; `published`, by name as in the published code (see `decay_groups`).
        schedule: Schedule after the warm-up: `cosine`, or `wsd`, constant with a final decay to 0.
        decay_share: `wsd`: share of the run with a decaying rate; default 0.1.
        layer_decay: Factor by which the rate of each layer of the encoder is smaller than that of
            the next one, from the heads down to the first layer (see `layer_rates`). 1: one rate
            for all; 0: only heads are trained, on a frozen encoder.
        betas: `adam`, `adam_larc`, `lamb`: decay rates of the running means; default 0.9, 0.999.
        eps: Added to Adam's root; default 1e-8, for `lamb` 1e-6.
        momentum: `lars`: momentum; default 0.9.
        trust_coefficient: Share of its norm by which a tensor moves; default 0.02 for `adam_larc`,
            0.001 for `lars`.
        preset: `lars`: `paper` (denominator |g| + wd |w|, the default) or `large_batch`
            (|g + wd w|).
    """

    name: OptimizerName = "adam_larc"
    lr_base: Annotated[float, Field(gt=0, le=1)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-6
    warmup_epochs: Annotated[float, Field(ge=0)] = 10.0
    masks: Masks = "module"
    schedule: ScheduleName = "cosine"
    decay_share: Annotated[float, Field(gt=0, le=0.5)] | None = None
    layer_decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    betas: tuple[Share, Share] | None = None
    eps: Annotated[float, Field(ge=1e-16, le=1)] | None = None
    momentum: Share | None = None
    trust_coefficient: Annotated[float, Field(gt=0, le=10)] | None = None
    preset: LarsPreset | None = None

    @model_validator(mode="after")
    def _reads_what_is_given(self) -> Self:
        self._settle("optimizer", self.name, DEFAULTS)
        self._settle("schedule", self.schedule, _SCHEDULE_DEFAULTS)
        return self

    def _settle(self, kind: str, name: str, defaults: dict[str, dict[str, Any]]) -> None:
        """Reject options that are not used; replace those at their default by None."""
        for option in sorted(set().union(*defaults.values())):
            given = getattr(self, option)
            if given is not None and option not in defaults[name]:
                readers = ", ".join(n for n in defaults if option in defaults[n])
                raise ValueError(
                    f"{kind} '{name}' does not read {option}, which is {given}; "
                    f"leave it out or choose one of {readers}"
                )
            if given is not None and given == defaults[name][option]:
                # The fields are frozen, but this instance is still under construction.
                self.__dict__[option] = None

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records show the options in use alone.
        fields = type(self).model_fields
        values: dict[str, Any] = handler(self)
        return {
            key: value
            for key, value in values.items()
            if key in _ALWAYS or value != fields[key].default
        }

    def options(self) -> dict[str, Any]:
        """Return every option of the optimizer, with defaults filled in.

        Example:
            >>> OptimizerConfig(name="lars", momentum=0.95).options()
            {'momentum': 0.95, 'trust_coefficient': 0.001, 'preset': 'paper'}
        """
        defaults = DEFAULTS[self.name]
        given = {option: getattr(self, option) for option in defaults}
        return {o: defaults[o] if value is None else value for o, value in given.items()}
