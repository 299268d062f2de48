"""The transformations: their names, parameters, ranges, units and probabilities.

Ranges are symmetric about the identity, so that no view is the reference view. Where the published
code gives a magnitude it is kept (rotation, noise, blur); where it is one-sided or depends on the
size of the source image (translation, colour) the range is the symmetric one of similar reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from handssl.augment.quirks import Quirks
from handssl.config import Config
from handssl.errors import InputError

Transformation = Literal[
    "blur",
    "color_drop",
    "color_jitter",
    "cutout",
    "noise",
    "rotate",
    "scale",
    "sobel",
    "translate",
]
TRANSFORMATIONS: tuple[Transformation, ...] = get_args(Transformation)
# What the paper compares; the published version of it added color_drop and scale.
PAPER_SEVEN: tuple[Transformation, ...] = tuple(
    name for name in TRANSFORMATIONS if name not in ("color_drop", "scale")
)
FLIPS = ("flip", "hflip", "horizontal_flip", "mirror", "vertical_flip", "vflip")


def _no_flip(name: object) -> object:
    if name in FLIPS:
        raise ValueError(
            f"{name} is no transformation of hands, which are chiral: the mirror image of a right "
            f"hand is a left hand, so its handedness and the x axis of its pose would be wrong; "
            f"leave it out"
        )
    return name


def refuse_flips(composition: Iterable[str]) -> None:
    """Explain why a composition cannot name a flip, wherever it does not pass a configuration.

    Raises:
        InputError: A name means a mirrored image.

    Example:
        >>> refuse_flips(("rotate", "translate"))
    """
    for name in composition:
        try:
            _no_flip(name)
        except ValueError as error:
            raise InputError(f"composition: {error}.") from None


# A composition as configurations take it: known names, and a reason where a flip is asked for.
Composition = tuple[Annotated[Transformation, BeforeValidator(_no_flip)], ...]
Border = Literal["disc", "reflect", "black"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Interval(Config):
    """A closed range of one parameter, `low < high`."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be less than high, got {self.low} and {self.high}")
        return self

    @property
    def width(self) -> float:
        """Return high - low, what a relative target of this parameter is divided by."""
        return self.high - self.low


class _Ranged(Config):
    """Base of the transformations: every interval must stay within its documented limits."""

    probability: Probability = 0.5

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name, (least, most) in LIMITS.get(type(self).__name__, {}).items():
            interval: Interval = getattr(self, name)
            if interval.low < least or interval.high > most:
                raise ValueError(
                    f"{name} must lie within [{least:g}, {most:g}], "
                    f"got [{interval.low:g}, {interval.high:g}]"
                )
        return self


LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "Translate": {"x_boxes": (-0.5, 0.5), "y_boxes": (-0.5, 0.5)},
    "Rotate": {"angle_rad": (-math.pi, math.pi)},
    "Scale": {"log_factor": (-1.0, 1.0)},
    "ColorJitter": {
        "hue_turns": (-0.5, 0.5),
        "log_saturation": (-3.0, 3.0),
        "log_value": (-3.0, 3.0),
        "value_offset": (-1.0, 1.0),
    },
    "Cutout": {"side_views": (0.0, 1.0)},
    "Noise": {"sigma": (0.0, 1.0)},
    "Blur": {"sigma_views": (0.0, 2.0 / 128)},
}


class Translate(_Ranged):
    """Move the centre of the crop box; theta = (x, y) in box sides, axes of the source image."""

    x_boxes: Interval = Interval(low=-0.15, high=0.15)
    y_boxes: Interval = Interval(low=-0.15, high=0.15)
    probability: Probability = 1.0


class Rotate(_Ranged):
    """Turn the image about the view's centre; theta = angle in radians, positive from x to y."""

    angle_rad: Interval = Interval(low=-math.pi / 4, high=math.pi / 4)
    probability: Probability = 1.0


class Scale(_Ranged):
    """Enlarge the image about the view's centre; theta = natural log of the factor.

    The published code draws the margin of the crop box from 0.9 to 1.5, a span of 5/3; the default
    has the same span, symmetric about the identity.
    """

    log_factor: Interval = Interval(low=-math.log(5 / 3) / 2, high=math.log(5 / 3) / 2)
    probability: Probability = 1.0


class ColorJitter(_Ranged):
    """Shift hue, scale saturation and value, offset value; all four add up along theta.

    theta = (hue in turns of the circle, log saturation factor, log value factor, value offset with
    value in [0, 1]).
    """

    hue_turns: Interval = Interval(low=-0.1, high=0.1)
    log_saturation: Interval = Interval(low=-0.7, high=0.7)
    log_value: Interval = Interval(low=-0.4, high=0.4)
    value_offset: Interval = Interval(low=-0.1, high=0.1)
    probability: Probability = 1.0


class ColorDrop(_Ranged):
    """Replace the image by its grey levels on three equal channels; no parameter."""


class Cutout(_Ranged):
    """Cover a square by one grey level; theta = (side in view sides, centre x, centre y, grey)."""

    side_views: Interval = Interval(low=0.1, high=0.4)


class Sobel(_Ranged):
    """Replace the image by the magnitude of its grey-level gradient; no parameter."""


class Noise(_Ranged):
    """Add Gaussian noise to every channel of every pixel; theta = its sigma, image in [0, 1]."""

    sigma: Interval = Interval(low=0.02, high=25 / 255)


class Blur(_Ranged):
    """Convolve with a Gaussian; theta = its sigma in view sides (0.1 to 2 px at 128 px)."""

    sigma_views: Interval = Interval(low=0.1 / 128, high=2.0 / 128)


class AugmentConfig(Config):
    """Parameters of every transformation, used by those a composition names.

    Attributes:
        border: What lies where the stored crop ends: mirrored pixels (`reflect`), black, or both
            views masked to the inscribed disc (`disc`).
        quirks: What the published code does otherwise; all off, and left out of what is stored.
    """

    translate: Translate = Translate()
    rotate: Rotate = Rotate()
    scale: Scale = Scale()
    color_jitter: ColorJitter = ColorJitter()
    color_drop: ColorDrop = ColorDrop()
    cutout: Cutout = Cutout()
    sobel: Sobel = Sobel()
    noise: Noise = Noise()
    blur: Blur = Blur()
    border: Border = "reflect"
    quirks: Quirks = Quirks()

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return `paper`, the defaults, or `paper_code`: its ranges, border and `Quirks`.

        Raises:
            InputError: There is no such preset.

        Example:
            >>> AugmentConfig.preset("paper") == AugmentConfig()
            True
        """
        if name not in ("paper", "paper_code"):
            raise InputError(f"preset must be paper or paper_code, got {name!r}.")
        return cls.parse(_PAPER_CODE if name == "paper_code" else {})

    @model_serializer(mode="wrap")
    def _without_quirks(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Identities are hashes of this: switches that are off must not change them.
        values: dict[str, Any] = handler(self)
        if not self.quirks.on:
            values.pop("quirks", None)
        return values


# One-sided where the code is; its 0 to 14 px of the source image become the reach of `Translate`.
_PAPER_CODE: dict[str, Any] = {
    "translate": {name: {"low": 0.0, "high": 0.15} for name in ("x_boxes", "y_boxes")},
    "scale": {"log_factor": {"low": math.log(1.25 / 1.5), "high": math.log(1.25 / 0.9)}},
    "color_jitter": {
        "hue_turns": {"low": -0.5, "high": 0.5},
        "log_saturation": {"low": -3.0, "high": 0.0},
        "log_value": {"low": math.log(0.5), "high": 0.0},
        "value_offset": {"low": 5 / 255, "high": 20 / 255},
    },
    "cutout": {"side_views": {"low": 0.0, "high": 0.16}},
    "noise": {"sigma": {"low": 24.999 / 255, "high": 25.001 / 255}},
    "border": "black",
    "quirks": dict.fromkeys(Quirks.model_fields, True),
}


# The parameters a relative head regresses, in the order of theta.
REGRESSABLE: dict[str, tuple[str, ...]] = {
    "translate": ("x_boxes", "y_boxes"),
    "rotate": ("angle_rad",),
    "scale": ("log_factor",),
    "color_jitter": ("hue_turns", "log_saturation", "log_value", "value_offset"),
}


def regressed_intervals(
    transformation: str, config: AugmentConfig | None = None
) -> tuple[Interval, ...]:
    """Return the intervals of the parameters that a relative head regresses, in theta's order.

    Args:
        transformation: One of `REGRESSABLE`.
        config: Where the ranges come from; default: the documented defaults.

    Example:
        >>> [interval.width for interval in regressed_intervals("translate")]
        [0.3, 0.3]
    """
    own = getattr(config or AugmentConfig(), transformation)
    return tuple(getattr(own, name) for name in REGRESSABLE[transformation])


def composition_name(transformations: Iterable[str]) -> str:
    """Write a composition in canonical (alphabetical) order; the empty one is `none`.

    Example:
        >>> composition_name({"translate", "rotate"})
        'rotate+translate'
        >>> composition_name(())
        'none'
    """
    return "+".join(sorted(set(transformations))) or "none"
