"""Heads on the encoder during pretraining."""

from __future__ import annotations

import torch
from torch import nn


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Return Linear, BatchNorm, ReLU, Linear without bias: the head used by all objectives.

    Args:
        inputs: Input size; 512 for the projection head of a ResNet-18, 1024 for relative heads.
        hidden: Hidden units.
        outputs: Output size.
    """
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, outputs, bias=False),
    )


class RelativeHead(nn.Module):
    """Head g_t of Eq. 2: regresses theta_b - theta_a from (h_a, h_b).

    Args:
        dim: Size of the features h of one view.
        hidden: Hidden units.
        outputs: Size k of the transformation's theta.
    """

    def __init__(self, dim: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = mlp(2 * dim, hidden, outputs)

    def forward(self, h_a: torch.Tensor, h_b: torch.Tensor) -> torch.Tensor:
        """Return (B, k) predictions for features (B, dim) of both views."""
        return self.layers(torch.cat((h_a, h_b), dim=1))  # type: ignore[no-any-return]
