"""A transformation and an encoder of a user; kept trial ids hold the path of this module."""

from __future__ import annotations

import torch


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


def linear_encoder(width: int) -> torch.nn.Module:
    """Build one linear layer over mean colours, with 8 x width features."""
    pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return torch.nn.Sequential(pooled, torch.nn.Linear(3, 8 * width))
