"""Encoder and objective as one module, so that one backward pass computes all gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from handssl.models import Encoder, build_encoder
from handssl.objectives import Encoded, Losses, Objective, PoseTarget, build_objective
from handssl.training.config import PretrainConfig
from handssl.training.execution import Precision
from handssl.transforms import View


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


def networks(config: PretrainConfig) -> tuple[Encoder, Objective]:
    """Return the encoder and the objective of a trial, without initialised weights.

    Args:
        config: Configuration of the trial.

    Raises:
        InputError: A custom encoder cannot be imported or is not an encoder.
    """
    encoder = build_encoder(config.encoder)
    objective = build_objective(
        config.objective,
        dim=encoder.dim,
        heads=config.heads,
        augmentation=config.augmentation,
        composition=config.composition,
        temperature=config.temperature,
        relative=config.relative,
        relative_on=config.relative_on,
        mixed=config.mixed,
        contrastive_weight=config.contrastive_weight,
        equivariant=config.equivariant,
    )
    return encoder, objective
