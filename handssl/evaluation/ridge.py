"""Ridge probe: a linear layer on frozen features, fitted in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch

from handssl.evaluation.read_out import LinearReadOut, ReadOut

# Half decades from 1e-6 to 1e2, times the mean eigenvalue of the features' covariance.
LAMBDA_EXPONENTS = tuple(step / 2 for step in range(-12, 5))


@dataclass(frozen=True)
class RidgeProbe:
    """A fitted linear layer.

    Attributes:
        mean: Mean of the features on `probe`, (D,).
        scale: Standard deviation of the features on `probe`, (D,); 1 for a constant feature.
        weight: Weights for standardised features, (D, T).
        intercept: Unpenalised intercept, (T,).
        exponent: log10 of lambda over the mean eigenvalue.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    intercept: torch.Tensor
    exponent: float
    name: ClassVar[str] = "ridge"

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, T) predictions for features (N, D)."""
        return ((features.double() - self.mean) / self.scale) @ self.weight + self.intercept

    def chosen(self) -> dict[str, float]:
        """Return the hyperparameters chosen on `select`, by their tracked names."""
        return {"ridge/lambda_exponent": self.exponent}

    def read_out(self) -> LinearReadOut:
        """Return the layer as it is kept."""
        return LinearReadOut(self.mean, self.scale, self.weight, self.intercept)


def ridge_path(features: torch.Tensor, targets: torch.Tensor) -> list[RidgeProbe]:
    """Fit the probe for every lambda of the grid from one eigendecomposition.

    With standardised features X (N, D) and centred targets Y the weight is
    (X'X / N + lambda I)^-1 X'Y / N, lambda = 10^e times the mean eigenvalue of X'X / N. With more
    features than samples it is computed in the equal form X' (XX' / N + lambda I)^-1 Y / N.

    Args:
        features: Features, (N, D).
        targets: Targets, (N, T).

    Returns:
        One probe for each exponent in `LAMBDA_EXPONENTS`.

    Example:
        >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
        >>> probe = ridge_path(x, 3.0 * x + 1.0)[0]
        >>> round(float(probe.predict(torch.tensor([[0.5]]))), 3)
        2.5
    """
    x, y = features.double(), targets.double()
    mean, scale = x.mean(0), x.std(0, correction=0)
    scale = torch.where(scale > 1e-12, scale, torch.ones_like(scale))
    x, intercept = (x - mean) / scale, y.mean(0)
    values, basis, coordinates = _spectrum(x, y - intercept)
    values = values.clamp(min=0.0)
    typical = (values.sum() / x.shape[1]).clamp(min=1e-12)
    probes = []
    for exponent in LAMBDA_EXPONENTS:
        weight = basis @ (coordinates / (values + typical * 10.0**exponent)[:, None])
        probes.append(RidgeProbe(mean, scale, weight, intercept, exponent))
    return probes


def _spectrum(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return eigenvalues (K,), basis (D, K) and coordinates (K, T) of the solution.

    The weight for lambda is basis (coordinates / (eigenvalues + lambda)), K = min(N, D).

    Args:
        x: Standardised features, (N, D).
        y: Centred targets, (N, T).
    """
    count, dim = x.shape
    if dim <= count:
        values, vectors = torch.linalg.eigh(x.T @ x / count)
        return values, vectors, vectors.T @ (x.T @ y) / count
    values, vectors = torch.linalg.eigh(x @ x.T / count)
    return values, x.T @ vectors, vectors.T @ y / count


class LinearProbe(Protocol):
    """Interface of fitted probes."""

    @property
    def name(self) -> str:
        """Prefix of its metrics."""
        ...

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, T) predictions for features (N, D)."""
        ...

    def chosen(self) -> dict[str, float]:
        """Return the hyperparameters chosen on `select`, by their tracked names."""
        ...

    def read_out(self) -> ReadOut:
        """Return the layer as it is kept."""
        ...


def choose_probe(
    probes: Sequence[LinearProbe],
    features: torch.Tensor,
    error: Callable[[torch.Tensor], float],
) -> LinearProbe:
    """Return the probe with the smallest error on `select`; among equals the last (largest lambda).

    Args:
        probes: Probes of all points of a grid.
        features: Features of the split `select`, (M, D).
        error: Function that scores predictions (M, T); lower is better.
    """
    return min(reversed(probes), key=lambda probe: error(probe.predict(features)))
