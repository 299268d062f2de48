"""Custom transformations: their interface, and their description in a configuration."""

from __future__ import annotations

import re
from typing import Annotated, Protocol, runtime_checkable

import torch
from pydantic import Field, ValidationInfo, field_validator

from handssl.config import Config
from handssl.transforms.interval import Interval
from handssl.transforms.names import FLIPS, OWN_NAME, TRANSFORMATIONS

OWN_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
Ranges = tuple[tuple[float, float], ...]
MEMBERS = ("name", "ranges", "regressable", "probability", "apply")
# Names with another meaning in a composition, a configuration or a table of losses.
_TAKEN = (
    *(*TRANSFORMATIONS, *FLIPS, "none", "contrastive"),
    *("border", "resampling", "view_blur_px", "quirks", "custom", "own"),
)


@runtime_checkable
class CustomTransformation(Protocol):
    """A custom appearance transformation; any object with these members is valid.

    It must not move joints. It is drawn, enabled and predicted like the built-in transformations
    and applied after all of them, in the order of the configuration.

    Attributes:
        name: Name in compositions: lower-case letters, digits and _, not a reserved name.
        ranges: (low, high) of each of its k parameters, drawn uniformly.
        regressable: Whether the relative objective may predict theta_b - theta_a. Where it is not
            applied its parameters are then 0, so 0 should leave the image unchanged.
        probability: Probability to be applied to a view, 0 to 1.

    Example:
        >>> class Dim:
        ...     name, ranges, regressable, probability = "dim", ((0.0, 0.5),), True, 1.0
        ...
        ...     def apply(self, images, theta):
        ...         return images * (1.0 - theta[:, :, None, None])
        >>> isinstance(Dim(), CustomTransformation)
        True
    """

    name: str
    ranges: tuple[tuple[float, float], ...]
    regressable: bool
    probability: float

    def apply(self, images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """Return images (N, 3, H, W) in [0, 1], each changed by its own row of theta (N, k).

        Args:
            images: float32 (N, 3, H, W) in [0, 1], RGB, on any device; must not be modified.
            theta: float32 (N, k), on the same device. Equal arguments must give equal images.
        """
        ...


class CustomTransformConfig(Config):
    """Description of a custom transformation in a configuration, sufficient for draws and targets.

    Attributes:
        path: Import path of the object or its class, as `package.module:attribute`.
        name: Name in compositions, see `CustomTransformation`.
        ranges: (low, high) of each of its k parameters.
        regressable: Whether the relative objective may predict it.
        probability: Probability to be applied to a view, 0 to 1.
    """

    path: Annotated[str, Field(pattern=OWN_PATH)]
    name: str
    ranges: Ranges
    regressable: bool
    probability: Annotated[float, Field(ge=0.0, le=1.0)]

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if not re.match(OWN_NAME, value):
            raise ValueError("expected up to 40 lower-case letters, digits and _, a letter first")
        # Heads and weights are stored in a `ModuleDict` under the name.
        if value in _TAKEN or hasattr(torch.nn.ModuleDict, value):
            raise ValueError("expected a name that is not taken; choose another")
        return value

    @field_validator("ranges")
    @classmethod
    def _low_to_high(cls, value: Ranges) -> Ranges:
        if any(low >= high for low, high in value):
            raise ValueError("expected (low, high) with low < high")
        return value

    @field_validator("regressable")
    @classmethod
    def _has_parameters(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("ranges") == ():
            raise ValueError("expected ranges of parameters to predict, found none")
        return value

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Return the ranges of its parameters."""
        return tuple(Interval(low=low, high=high) for low, high in self.ranges)
