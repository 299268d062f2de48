"""Configuration of the transformations: parameters, ranges, units and probabilities.

Ranges are symmetric about the identity, so that no view is the reference view. Magnitudes of the
published code are kept where possible (rotation, noise, blur); where they are one-sided or depend
on the size of the source image (translation, colour) a symmetric range of similar reach is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from handssl.config import Config
from handssl.errors import InputError
from handssl.transforms.custom import CustomTransformConfig
from handssl.transforms.custom_loading import CustomTransforms
from handssl.transforms.interval import Interval, LinearInterval
from handssl.transforms.names import TRANSFORMATIONS
from handssl.transforms.quirks import Quirks

Border = Literal["disc", "reflect", "black"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class _Ranged(Config):
    """Base of the transformations that checks every interval against its documented limits."""

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
    """Rotate the image about the view's centre; theta = angle in radians, positive from x to y."""

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
    """Shift hue, scale saturation and value, offset value; all four are additive in theta.

    theta = (hue in turns, log saturation factor, log value factor, value offset with value in
    [0, 1]).
    """

    hue_turns: Interval = Interval(low=-0.1, high=0.1)
    log_saturation: Interval = Interval(low=-0.7, high=0.7)
    log_value: Interval = Interval(low=-0.4, high=0.4)
    value_offset: Interval = Interval(low=-0.1, high=0.1)
    probability: Probability = 1.0


class ColorDrop(_Ranged):
    """Replace the image by its grey levels on three equal channels; no parameter."""


class Cutout(_Ranged):
    """Cover a square with a grey level; theta = (side in view sides, centre x, centre y, grey)."""

    side_views: Interval = Interval(low=0.1, high=0.4)


class Sobel(_Ranged):
    """Replace the image by the magnitude of its grey-level gradient; no parameter."""


class Noise(_Ranged):
    """Add Gaussian noise to every channel of every pixel; theta = its sigma, image in [0, 1]."""

    sigma: Interval = Interval(low=0.02, high=25 / 255)


class Blur(_Ranged):
    """Convolve with a Gaussian; theta = its sigma in view sides (0.1 to 2 px at 128 px)."""

    sigma_views: Interval = Interval(low=0.1 / 128, high=2.0 / 128)


# Name of `custom` in the records of numerics version 2, which are still read.
_EARLIER = "own"


class AugmentConfig(Config):
    """Parameters of every transformation, used by those in a composition.

    Attributes:
        border: Content outside the stored crop: mirrored pixels (`reflect`), black, or both views
            masked to the inscribed disc (`disc`).
        resampling: `once`: one bilinear resampling from the stored crop; `double`: two that
            together are the same map, the second by a random part of a quarter turn and of a pixel,
            so that interpolation leaves no trace of the drawn angle and translation
            (`handssl.transforms.resampling`).
        view_blur_px: Sigma of a Gaussian blur of every view after the warp, in pixels of the view;
            0 for none. Untransformed images of probes are not blurred.
        quirks: Deviations of the published code; all off by default.
        custom: Custom transformations, each as `package.module:attribute` of an object that
            implements `handssl.CustomTransformation`; applied last, in this order.
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
    resampling: Literal["once", "double"] = "once"
    view_blur_px: Annotated[float, Field(ge=0.0, le=4.0)] = 0.0
    quirks: Quirks = Quirks()
    custom: CustomTransforms = ()

    @model_validator(mode="before")
    @classmethod
    def _of_records(cls, values: Any) -> Any:
        """Take the records of numerics version 2 too."""
        if not isinstance(values, Mapping) or _EARLIER not in values:
            return values
        kept = {key: value for key, value in values.items() if key != _EARLIER}
        return {"custom": values[_EARLIER], **kept}

    @field_validator("custom")
    @classmethod
    def _custom_names_differ(
        cls, value: tuple[CustomTransformConfig, ...]
    ) -> tuple[CustomTransformConfig, ...]:
        names = [one.name for one in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"expected names that differ, got {', '.join(twice)} twice: rename one"
            )
        return value

    def custom_called(self, name: str) -> CustomTransformConfig | None:
        """Return the custom transformation with a name, or None."""
        return next((one for one in self.custom if one.name == name), None)

    @property
    def regressable(self) -> tuple[str, ...]:
        """Names of the transformations that a relative head can predict.

        Example:
            >>> AugmentConfig().regressable
            ('translate', 'rotate', 'scale', 'color_jitter')
        """
        return (*REGRESSABLE, *(one.name for one in self.custom if one.regressable))

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return `paper`, the defaults, or `paper_code`, the ranges, border and quirks of its code.

        Raises:
            InputError: The preset is unknown.

        Example:
            >>> AugmentConfig.preset("paper") == AugmentConfig()
            True
        """
        if name not in ("paper", "paper_code"):
            raise InputError(f"preset must be paper or paper_code, got {name!r}.")
        return cls.parse(_PAPER_CODE if name == "paper_code" else {})


# One-sided like the code; its 0 to 14 px of the source image become the reach of `Translate`.
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
        transformation: One of `REGRESSABLE`, or a regressable custom one of the configuration.
        config: Configuration with the ranges; default: the documented defaults.

    Example:
        >>> [interval.width for interval in regressed_intervals("translate")]
        [0.3, 0.3]
    """
    config = config or AugmentConfig()
    if one := config.custom_called(transformation):
        return one.intervals
    ranged = getattr(config, transformation)
    found = tuple(getattr(ranged, name) for name in REGRESSABLE[transformation])
    if transformation == "color_jitter" and config.quirks.multiplied_hue:
        # A factor of the hue: a difference of one range is not the identity, as a full turn is.
        hue, *others = found
        return (LinearInterval(low=hue.low, high=hue.high), *others)
    return found


def may_regress(transformation: str) -> bool:
    """Return whether a transformation can have parameters to predict, judged by its name.

    For a custom transformation only the configuration that lists it knows.

    Example:
        >>> may_regress("rotate"), may_regress("blur"), may_regress("solarize")
        (True, False, True)
    """
    return transformation in REGRESSABLE or transformation not in TRANSFORMATIONS
