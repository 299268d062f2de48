"""Encoder and objective as one module, so that one backward pass computes all gradients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import nn

from handssl.models import Encoder, build_encoder, initialise, map_shape
from handssl.models.initial_weights import load_initial
from handssl.objectives import (
    Encoded,
    HeatmapRegression,
    Losses,
    Objective,
    PoseTarget,
    build_objective,
)
from handssl.training.config import PretrainConfig
from handssl.training.execution import Precision
from handssl.training.rounding import perturb, rounding_of
from handssl.transforms import View


class Network(nn.Module):
    """Module of a step: encodes all views at once, then computes the objective.

    Args:
        encoder: Module from images (B, 3, P, P) to features (B, dim).
        objective: Module from features to losses.
        precision: `bf16` runs the encoder under autocast, but never heads and losses.
        reversed_views: Whether views are encoded in reversed order, which changes rounding alone.
        frozen: Whether the encoder is never trained: it has no gradients, and its BatchNorm uses
            its stored statistics.
    """

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        precision: Precision,
        *,
        reversed_views: bool = False,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.objective, self.precision = encoder, objective, precision
        self.reversed_views, self.frozen = reversed_views, frozen
        has_stages = isinstance(objective, HeatmapRegression) and len(objective.heads) > 1
        self._options = {"all_stages": True} if has_stages else {}
        if frozen:
            encoder.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, views: Sequence[View], target: PoseTarget | None) -> Losses:
        """Return the losses of a batch.

        Args:
            views: Views in the order of the objective's draws, of equal size.
            target: Labels for the supervised objective, else None.
        """
        dtype = next(self.parameters()).dtype
        order = -1 if self.reversed_views else 1
        images = torch.cat([view.images for view in views[::order]]).to(dtype)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            images = images.contiguous(memory_format=torch.channels_last)
            features = self.encoder(images, **self._options)
        parts = features.to(dtype).chunk(len(views))[::order]
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
        maps=map_shape(encoder),
        stages=config.encoder.stages,
    )
    return encoder, objective


def initial_network(
    config: PretrainConfig, precision: Precision, storage: Path | None = None
) -> Network:
    """Return the network of a trial with its initial weights, on the CPU.

    Args:
        config: Configuration of the trial.
        precision: Precision of the encoder.
        storage: Root of all results, with the initial weights whose digest the configuration
            names; None: their file is read.

    Raises:
        InputError: A custom encoder is invalid, or the initial weights do not fit the encoder.
        DataError: The file of the initial weights is damaged.
    """
    encoder, objective = networks(config)
    repeat = config.noise_repeat
    is_reversed = bool(repeat) and rounding_of(repeat).reversed_views
    network = Network(
        encoder, objective, precision, reversed_views=is_reversed, frozen=config.is_frozen
    )
    initialise(network, seed=config.seed)
    load_initial(encoder, config.init, storage)
    if repeat:
        perturb(network, seed=config.seed, repeat=repeat)
    return network
