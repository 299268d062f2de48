"""Read-outs: from the features of an encoder to the 63 columns of a 2.5D pose.

A trained model is an encoder and a read-out. `READ_OUTS` names every kind whose tensors can be
kept in a file; code that keeps, exports or uses a model depends on the interface alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import nn

from handssl.models import HeatmapHead

Tensors = dict[str, torch.Tensor]
_ROWS = 256  # maps of one pass
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
class HeatmapReadOut:
    """Heatmap head on standardised latent maps.

    Attributes:
        head: The head.
        mean: Mean of every map over pixels and images of `probe`, (M, 1).
        scale: Standard deviation of every map, (M, 1).
    """

    kind: ClassVar[str] = "heatmaps"
    head: HeatmapHead
    mean: torch.Tensor
    scale: torch.Tensor

    @property
    def dim(self) -> int:
        """Number of features."""
        return math.prod(self.head.shape)

    @torch.no_grad()
    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return columns (N, 63) for vectorised maps (N, D), in float64 on the CPU."""
        module = self.module()
        parts = torch.split(features.to(self.mean), _ROWS)
        return torch.cat([module(rows).double().cpu() for rows in parts])

    def tensors(self) -> Tensors:
        """Return the tensors that determine it, by name."""
        state = {name: one.detach().cpu() for name, one in self.head.state_dict().items()}
        moments = {"mean": self.mean.cpu(), "scale": self.scale.cpu()}
        return {**state, **moments, "shape": torch.tensor(self.head.shape)}

    def module(self) -> nn.Module:
        """Return the same function in float32."""
        return _Heatmaps(self)

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> Self:
        """Return the read-out of some tensors.

        Raises:
            ValueError: A tensor is missing, or has another shape.
        """
        if "shape" not in tensors or tensors["shape"].shape != (3,):
            raise ValueError("expected shape (3,) of the maps")
        maps, height, width = map(int, tensors["shape"])
        _require(tensors, {"mean": (maps, 1), "scale": (maps, 1)})
        head = HeatmapHead((maps, height, width))
        _require(tensors, {name: tuple(one.shape) for name, one in head.state_dict().items()})
        head.load_state_dict({name: tensors[name] for name in head.state_dict()})
        return cls(head, tensors["mean"], tensors["scale"])


class _Heatmaps(nn.Module):
    """Head and moments of the maps as one module."""

    def __init__(self, read_out: HeatmapReadOut) -> None:
        super().__init__()
        self.head = read_out.head
        self.register_buffer("mean", read_out.mean)
        self.register_buffer("scale", read_out.scale)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        maps = features.reshape(len(features), self.head.shape[0], -1)
        uv, z = self.head(((maps - self.mean) / self.scale).flatten(1))  # type: ignore[operator]
        return torch.cat((uv.flatten(1), z), 1)


def _require(tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        found = tuple(tensors[name].shape) if name in tensors else None
        if found != shape:
            raise ValueError(f"expected {name} {shape}, found {found}")


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
        _require(tensors, shapes)
        return cls(**{name: tensors[name].double() for name in shapes})


class _Linear(nn.Module):
    """The layer with its tensors as float32 buffers."""

    def __init__(self, layer: LinearReadOut) -> None:
        super().__init__()
        for name, one in layer.tensors().items():
            self.register_buffer(name, one.float())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return ((features - self.mean) / self.scale) @ self.weight + self.intercept  # type: ignore[operator]


READ_OUTS: dict[str, type[ReadOut]] = {
    LinearReadOut.kind: LinearReadOut,
    HeatmapReadOut.kind: HeatmapReadOut,
}
"""Class of every kind of read-out, by name."""
