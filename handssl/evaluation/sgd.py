"""The paper's probe: a linear layer trained with Adam, all points of its grid at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch

from handssl.evaluation.config import ProbeConfig
from handssl.evaluation.read_out import LinearReadOut
from handssl.objectives import PoseTarget
from handssl.randomness import permutation

BOX_PX = 128.0  # the loss measures uv in pixels of a box of this side, z in bone lengths
Z_WEIGHT = 5.0
_UV_COLUMNS = 42
_BETAS, _EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class SgdProbe:
    """A fitted linear layer.

    Attributes:
        mean: Mean of the features on `probe`, (D,).
        scale: Standard deviation of the features, (D,); 1 for a constant feature.
        weight: Weights in units of `spread`, (D, T).
        bias: Bias in units of `spread`, (T,).
        middle: Mean of the targets on `probe`, (T,).
        spread: Standard deviation of the targets, (T,).
        point: Point of the grid (learning rate, weight decay).
    """

    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    middle: torch.Tensor
    spread: torch.Tensor
    point: tuple[float, float]
    name: ClassVar[str] = "sgd"

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, T) predictions for features (N, D)."""
        raw = ((features.double() - self.mean) / self.scale) @ self.weight + self.bias
        return raw * self.spread + self.middle

    def chosen(self) -> dict[str, float]:
        """Return the hyperparameters chosen on `select`, by their tracked names."""
        return {"sgd/lr": self.point[0], "sgd/weight_decay": self.point[1]}

    def read_out(self) -> LinearReadOut:
        """Return the layer as it is kept, in the units of the targets."""
        intercept = (self.bias * self.spread + self.middle).reshape(-1)
        return LinearReadOut(self.mean, self.scale, self.weight * self.spread, intercept)


def grid_of(config: ProbeConfig) -> list[tuple[float, float]]:
    """Return the (learning rate, weight decay) of every point, in order.

    Example:
        >>> len(grid_of(ProbeConfig()))
        6
    """
    return list(product(config.lr, config.weight_decay))


def sgd_probes(
    features: torch.Tensor, columns: torch.Tensor, valid: torch.Tensor, config: ProbeConfig
) -> list[SgdProbe]:
    """Train the probe at every point of the grid.

    One batched model: the points share every batch, and their losses are added, so that each is
    trained independently. Targets are standardised per column, which only affects the step size of
    Adam; the loss is measured in pixels and bone lengths:
    L = mean |uv - uv'| + 5 mean |z - z'| over joints with a label.

    Args:
        features: Features of the split `probe`, (N, D).
        columns: Targets from `as_columns`, (N, 63).
        valid: bool (N, 21), whether each joint has a label.
        config: Grid, epochs, batch, seed.

    Returns:
        One probe for each point, in the order of `grid_of`.

    Reference:
        Sec. 4.1 (a linear layer on the frozen network, parameters from grid search); rates, epochs
        and loss as in the published code.
    """
    counted = column_mask(PoseTarget(columns[:, :0], columns[:, :0], valid)).double()
    x, mean, scale = _standardised(features.double(), None)
    y, middle, spread = _standardised(columns.double(), counted)
    units = torch.cat((torch.full((_UV_COLUMNS,), BOX_PX), torch.ones(columns.shape[1] - 42)))
    model = _Grid(grid_of(config), x.shape[1], units.double() * spread)
    total = config.epochs * math.ceil(len(x) / config.batch)
    for step, rows in enumerate(_batches(len(x), config)):
        rate = 0.5 * (1.0 + math.cos(math.pi * step / total))
        model.update(x[rows], y[rows], counted[rows], rate)
    return [
        SgdProbe(mean, scale, weight, bias[0], middle, spread, point)
        for weight, bias, point in zip(model.weight, model.bias, model.grid, strict=True)
    ]


def column_mask(target: PoseTarget) -> torch.Tensor:
    """Return which of the 63 columns have a label, bool (N, 63)."""
    return torch.cat((target.valid.repeat_interleave(2, dim=1), target.valid), dim=1)


class _Grid:
    """Linear layers (G, D, T) and (G, 1, T) with Adam's two means."""

    def __init__(
        self, grid: Sequence[tuple[float, float]], features: int, units: torch.Tensor
    ) -> None:
        self.grid, self._units = list(grid), units
        count, outputs = len(self.grid), len(units)
        self.weight = torch.zeros(count, features, outputs, dtype=torch.float64)
        self.bias = torch.zeros(count, 1, outputs, dtype=torch.float64)
        self._rates, self._decays = (
            torch.tensor(values, dtype=torch.float64)[:, None, None]
            for values in zip(*self.grid, strict=True)
        )
        self._means = [torch.zeros_like(p) for p in (self.weight, self.bias)]
        self._squares = [torch.zeros_like(p) for p in (self.weight, self.bias)]
        self._count = 0

    def update(self, x: torch.Tensor, y: torch.Tensor, counted: torch.Tensor, rate: float) -> None:
        """Make one Adam step on a batch with a share of every point's rate."""
        flow = self._gradient(x @ self.weight + self.bias - y, counted)
        self._count += 1
        decayed = (x.T @ flow + self._decays * self.weight, flow.sum(1, keepdim=True))
        for index, (parameter, gradient) in enumerate(
            zip((self.weight, self.bias), decayed, strict=True)
        ):
            parameter -= rate * self._rates * self._adam(index, gradient)

    def _gradient(self, error: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the loss for every output; `error` is (G, B, T)."""
        joints = counted[:, _UV_COLUMNS:].sum().clamp(min=1.0)
        share = torch.full_like(self._units, 1.0) / (2.0 * joints)
        share[_UV_COLUMNS:] = Z_WEIGHT / joints
        return torch.sign(error) * (counted * share * self._units)

    def _adam(self, index: int, gradient: torch.Tensor) -> torch.Tensor:
        mean, square = self._means[index], self._squares[index]
        mean.lerp_(gradient, 1 - _BETAS[0])
        square.lerp_(gradient.square(), 1 - _BETAS[1])
        first, second = (1 - beta**self._count for beta in _BETAS)
        return (mean / first) / ((square / second).sqrt() + _EPS)


def _standardised(
    values: torch.Tensor, counted: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (values - mean) / deviation, mean and deviation over the values that count."""
    weights = torch.ones_like(values) if counted is None else counted
    count = weights.sum(0).clamp(min=1.0)
    mean = (values * weights).sum(0) / count
    deviation = (((values - mean) * weights).square().sum(0) / count).sqrt()
    deviation = torch.where(deviation > 1e-12, deviation, torch.ones_like(deviation))
    return (values - mean) / deviation, mean, deviation


def _batches(count: int, config: ProbeConfig) -> Iterator[torch.Tensor]:
    for epoch in range(1, config.epochs + 1):
        order = torch.from_numpy(permutation(count, "probe", config.seed, epoch))
        yield from torch.split(order, config.batch)
