"""A transformation and an encoder of a user; kept trial ids hold the path of this module."""

from __future__ import annotations

import torch

from handssl.models import EncoderConfig


class Darker:
    """Darkens by theta_0 in [0, 0.4]; a relative head can predict it."""

    name = "darker"
    ranges = ((0.0, 0.4),)
    regressable = True
    probability = 1.0

    def apply(self, images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """Scale the images (B, 3, H, W) by 1 - theta (B, 1)."""
        return images * (1.0 - theta[:, 0, None, None, None])


class Mirrored:
    """Flips from left to right; without parameters."""

    name, ranges, regressable, probability = "mirrored", (), False, 0.5

    def apply(self, images: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """Flip the images (B, 3, H, W)."""
        return images.flip(-1)


class _Linear(torch.nn.Module):
    """One linear layer over the mean colours of a grid of 4 x 4 fields."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.pool, self.layer = (
            dim,
            torch.nn.AdaptiveAvgPool2d(4),
            torch.nn.Linear(48, dim),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (B, dim) of images (B, 3, P, P)."""
        return self.layer(self.pool(images).flatten(1))


def linear_encoder(config: EncoderConfig) -> torch.nn.Module:
    """Build an encoder of a few kilobytes, with 8 x width features."""
    return _Linear(8 * config.width)
