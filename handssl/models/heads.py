"""Heads on the encoder during pretraining."""

from __future__ import annotations

import torch
from torch import nn

from handssl.errors import InputError
from handssl.models.config import HeadConfig
from handssl.models.latent_maps import MapShape, SoftArgmaxProjection


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


def projection_head(dim: int, heads: HeadConfig, maps: MapShape | None = None) -> nn.Module:
    """Return the head from features to the space of Eq. 1.

    Args:
        dim: Size of the features.
        heads: Kind and sizes of the head.
        maps: Shape of the maps, if the features are vectorised maps.

    Raises:
        InputError: `soft_argmax` without maps.
    """
    if heads.projection == "mlp":
        return mlp(dim, heads.projection_hidden, heads.projection_out)
    if maps is None:
        raise InputError(
            "heads.projection 'soft_argmax' needs an encoder of maps, e.g. encoder.name: heatmap; "
            "expected mlp for pooled features"
        )
    return SoftArgmaxProjection(maps, heads.projection_hidden, heads.projection_out)


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
