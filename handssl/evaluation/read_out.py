"""Read-outs: from the features of an encoder to the 63 columns of a 2.5D pose.

A trained model is an encoder and a read-out. `READ_OUTS` names every kind whose tensors can be
kept in a file; code that keeps, exports or uses a model depends on the interface alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]
COLUMNS = 63
"""Columns of a pose: 42 of uv, then 21 of z, see `handssl.evaluation.targets`."""


@runtime_checkable
class ReadOut(Protocol):
    """Interface of read-outs.

    Attributes:
        kind: Name of the kind, a key of `READ_OUTS`.
    """

    kind: ClassVar[str]

    @property
    def dim(self) -> int:
        """Number of features."""
        ...

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return columns (N, 63) for features (N, dim), in float64."""
        ...

    def tensors(self) -> Tensors:
        """Return the tensors that determine it, by name."""
        ...

    def module(self) -> nn.Module:
        """Return the same function in float32, for exports: (N, dim) to (N, 63)."""
        ...

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> Self:
        """Return the read-out of some tensors.

        Raises:
            ValueError: A tensor is missing, or has another shape.
        """
        ...


@dataclass(frozen=True, eq=False)
class LinearReadOut:
    """Linear layer on standardised features: y = ((h - mean) / scale) W + b.

    Attributes:
        mean: Mean of the features on `probe`, float64 (D,).
        scale: Standard deviation of the features on `probe`, float64 (D,).
        weight: Weights W, float64 (D, 63).
        intercept: Intercept b, float64 (63,).
    """

    kind: ClassVar[str] = "linear"
    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    intercept: torch.Tensor

    @property
    def dim(self) -> int:
        """Number of features."""
        return len(self.mean)

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return columns (N, 63) for features (N, D), in float64."""
        return ((features.double() - self.mean) / self.scale) @ self.weight + self.intercept

    def tensors(self) -> Tensors:
        """Return the tensors that determine it, by name."""
        names = ("mean", "scale", "weight", "intercept")
        return {name: getattr(self, name).contiguous() for name in names}

    def module(self) -> nn.Module:
        """Return the same function in float32."""
        return _Linear(self)

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> Self:
        """Return the read-out of some tensors.

        Raises:
            ValueError: A tensor is missing, or has another shape.

        Example:
            >>> one = {"mean": torch.zeros(2), "scale": torch.ones(2),
            ...        "weight": torch.zeros(2, 63), "intercept": torch.ones(63)}
            >>> LinearReadOut.of_tensors(one).predict(torch.zeros(5, 2)).shape
            torch.Size([5, 63])
        """
        dim = tensors["mean"].numel() if "mean" in tensors else 0
        shapes = {"mean": (dim,), "scale": (dim,), "weight": (dim, COLUMNS), "intercept": (63,)}
        for name, shape in shapes.items():
            found = tuple(tensors[name].shape) if name in tensors else None
            if found != shape:
                raise ValueError(f"expected {name} {shape}, found {found}")
        return cls(**{name: tensors[name].double() for name in shapes})


class _Linear(nn.Module):
    """The layer with its tensors as float32 buffers."""

    def __init__(self, layer: LinearReadOut) -> None:
        super().__init__()
        for name, one in layer.tensors().items():
            self.register_buffer(name, one.float())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return ((features - self.mean) / self.scale) @ self.weight + self.intercept  # type: ignore[operator]


READ_OUTS: dict[str, type[ReadOut]] = {LinearReadOut.kind: LinearReadOut}
"""Class of every kind of read-out, by name."""
