"""Encoder and objective as one module, so that one backward pass computes all gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from handssl.augment import View
from handssl.objectives import Encoded, Losses, PoseTarget
from handssl.training.execution import Precision


class Network(nn.Module):
    """Module of a step: encodes all views at once, then computes the objective.

    Args:
        encoder: Module from images (B, 3, P, P) to features (B, dim).
        objective: Module from features to losses.
        precision: `bf16` runs the encoder under autocast, but never heads and losses.
    """

    def __init__(self, encoder: nn.Module, objective: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.encoder, self.objective, self.precision = encoder, objective, precision

    def forward(self, views: Sequence[View], target: PoseTarget | None) -> Losses:
        """Return the losses of a batch.

        Args:
            views: Views in the order of the objective's draws, of equal size.
            target: Labels for the supervised objective, else None.
        """
        dtype = next(self.parameters()).dtype
        images = torch.cat([view.images for view in views]).to(dtype)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            features = self.encoder(images.contiguous(memory_format=torch.channels_last))
        parts = features.to(dtype).chunk(len(views))
        encoded = [_encoded(h, view) for h, view in zip(parts, views, strict=True)]
        losses: Losses = self.objective(encoded, target)
        return losses


def _encoded(h: torch.Tensor, view: View) -> Encoded:
    theta = {name: draws.to(h.dtype) for name, draws in view.theta.items()}
    return Encoded(h, theta, view.matrix.to(h.dtype))
