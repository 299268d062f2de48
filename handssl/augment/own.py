"""Transformations of a user's own: what one has to be, and what a configuration keeps of it."""

from __future__ import annotations

import re
from typing import Annotated, Protocol, runtime_checkable

import torch
from pydantic import Field, ValidationInfo, field_validator

from handssl.augment.interval import Interval
from handssl.augment.names import FLIPS, OWN_NAME, TRANSFORMATIONS
from handssl.config import Config

OWN_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
Ranges = tuple[tuple[float, float], ...]
MEMBERS = ("name", "ranges", "regressable", "probability", "apply")
# Words that stand for something else in a composition, a configuration or a table of losses.
_TAKEN = (*TRANSFORMATIONS, *FLIPS, "none", "border", "quirks", "own", "contrastive")


@runtime_checkable
class OwnTransformation(Protocol):
    """A change of appearance of a user's own; any object with these members will do.

    It moves no joints. It is drawn, switched and predicted like the library's transformations and
    applied after all of them, in the order in which a configuration lists several.

    Attributes:
        name: What compositions call it: small letters, digits and _, no name that is taken.
        ranges: (low, high) of each of its k parameters, drawn uniformly.
        regressable: Whether the relative objective may predict theta_b - theta_a. Where it is not
            applied its parameters are then 0, so 0 should leave the image as it is.
        probability: Of each view to have it applied.

    Example:
        >>> class Dim:
        ...     name, ranges, regressable, probability = "dim", ((0.0, 0.5),), True, 1.0
        ...
        ...     def apply(self, images, theta):
        ...         return images * (1.0 - theta[:, :, None, None])
        >>> isinstance(Dim(), OwnTransformation)
        True
    """

    name: str
    ranges: tuple[tuple[float, float], ...]
    regressable: bool
    probability: float

    def apply(self, images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """Return images (N, 3, H, W) in [0, 1], each changed by its own row of theta (N, k).

        Args:
            images: float32 (N, 3, H, W) in [0, 1], RGB, on any device; not to be written to.
            theta: float32 (N, k), on the same device. Equal arguments give equal images.
        """
        ...


class Own(Config):
    """What a configuration keeps of an own transformation: all that its draws and targets need.

    Attributes:
        path: Where the object or its class is, as `package.module:attribute`.
        name: See `OwnTransformation`, as the others.
        ranges: Of its parameters.
        regressable: Whether it may be predicted.
        probability: Of each view.
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
            raise ValueError("expected up to 40 small letters, digits and _, a letter first")
        # Heads and weights are kept in these dictionaries, under the name.
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
            raise ValueError("expected ranges of parameters to predict, there are none")
        return value

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Return the ranges of its parameters."""
        return tuple(Interval(low=low, high=high) for low, high in self.ranges)
