"""Transformations of a user's own: what one has to be, and what a configuration keeps of it."""

from __future__ import annotations

from typing import Annotated, Protocol, Self, runtime_checkable

import torch
from pydantic import Field, field_validator, model_validator

from handssl.augment.interval import Interval
from handssl.augment.names import FLIPS, OWN_NAME, TRANSFORMATIONS
from handssl.config import Config

OWN_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
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
    name: Annotated[str, Field(pattern=OWN_NAME)]
    ranges: tuple[tuple[float, float], ...] = ()
    regressable: bool
    probability: Annotated[float, Field(ge=0.0, le=1.0)]

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        # Heads and weights are kept in these dictionaries, under the name.
        if value in _TAKEN or hasattr(torch.nn.ModuleDict, value):
            raise ValueError(f"expected a name that is not taken, got {value!r}: choose another")
        return value

    @model_validator(mode="after")
    def _has_parameters(self) -> Self:
        for low, high in self.ranges:
            Interval(low=low, high=high)
        if self.regressable and not self.ranges:
            raise ValueError("regressable: expected ranges of parameters to predict, got none")
        return self

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Return the ranges of its parameters."""
        return tuple(Interval(low=low, high=high) for low, high in self.ranges)
