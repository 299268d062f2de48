"""Image features for the read-outs of the leak test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812

Readout = Literal["pixels", "structure", "statistics"]

_PIXELS, _COARSE_PX, _CELLS, _LEVELS, _TILE_PX = 16, 32, 4, 3, 16
_EPS = 1e-6  # far below the square of one grey level


def pixels(grey: torch.Tensor) -> torch.Tensor:
    """Return the view averaged to 16 x 16.

    Args:
        grey: float (B, 1, P, P).

    Returns:
        (B, 256).
    """
    return F.adaptive_avg_pool2d(grey, _PIXELS).flatten(1)


def structure(grey: torch.Tensor) -> torch.Tensor:
    """Return the statistics of the view averaged to 32 x 32.

    They capture edges, mirrored halves and directions, but not the resampling of single pixels.

    Args:
        grey: float (B, 1, P, P), P at least 32.

    Returns:
        (B, 720).
    """
    return statistics(F.adaptive_avg_pool2d(grey, _COARSE_PX))


def statistics(grey: torch.Tensor) -> torch.Tensor:
    """Return features that are not linear in pixels: local sharpness, direction and fine spectra.

    Log energies and correlations of derivatives of first and second order, at three scales in
    4 x 4 cells; log spectra of the view and of its local energy, averaged over tiles of 16 px.
    Resampling softens an image in fringes whose period and direction depend on the map, which
    appear in the spectrum of the energy.

    Args:
        grey: float (B, 1, P, P), P at least 24.

    Returns:
        (B, 720).
    """
    energy = F.conv2d(grey, _DERIVATIVES[2:4].to(grey)).square().sum(1, keepdim=True)
    return torch.cat((_cells(grey), _spectrum(grey), _spectrum(energy)), dim=1)


def _cells(grey: torch.Tensor) -> torch.Tensor:
    features = []
    for _ in range(_LEVELS):
        d = F.conv2d(grey, _DERIVATIVES.to(grey))
        energies = F.adaptive_avg_pool2d(d.square(), _CELLS) + _EPS
        features.append(energies.log())
        for one, other in _PAIRS:
            product = F.adaptive_avg_pool2d(d[:, one] * d[:, other], _CELLS)
            features.append((product / (energies[:, one] * energies[:, other]).sqrt())[:, None])
        grey = F.avg_pool2d(grey, 2)
    return torch.cat([feature.flatten(1) for feature in features], dim=1)


def _spectrum(grey: torch.Tensor) -> torch.Tensor:
    """Return Welch's estimate: the mean power of windowed tiles that overlap by half."""
    window = torch.hann_window(_TILE_PX, periodic=False, dtype=grey.dtype, device=grey.device)
    tiles = grey[:, 0].unfold(1, _TILE_PX, _TILE_PX // 2).unfold(2, _TILE_PX, _TILE_PX // 2)
    tiles = (tiles - tiles.mean((3, 4), keepdim=True)) * window * window[:, None]
    power = torch.fft.rfft2(tiles).abs().square().mean((1, 2))
    spectrum: torch.Tensor = (power + _EPS).log().flatten(1)
    return spectrum


def _derivative_kernels() -> torch.Tensor:
    """Return d/dx, d/dy, d2/dx2, d2/dy2, d2/dxdy as (5, 1, 3, 3)."""
    point, slope = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([-0.5, 0.0, 0.5])
    bend = torch.tensor([1.0, -2.0, 1.0])
    pairs = ((point, slope), (slope, point), (point, bend), (bend, point), (slope, slope))
    return torch.stack([torch.outer(down, across) for down, across in pairs])[:, None]


_DERIVATIVES = _derivative_kernels()
# Products that, with the squares, describe the distribution of energy over directions, to the
# fourth order.
_PAIRS = ((0, 1), (2, 3), (2, 4), (3, 4))
FEATURES: dict[Readout, Callable[[torch.Tensor], torch.Tensor]] = {
    "pixels": pixels,
    "structure": structure,
    "statistics": statistics,
}
