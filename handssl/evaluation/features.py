"""Extract features of a frozen encoder on a packed split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from handssl.data.store import PackedSplit
from handssl.transforms import plain_view


@contextmanager
def frozen(encoder: nn.Module) -> Iterator[None]:
    """Put an encoder in evaluation mode without gradients; every module's mode is restored."""
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def extract_features(
    encoder: nn.Module, store: PackedSplit, *, view_px: int, batch: int = 256
) -> torch.Tensor:
    """Return the features of every image of a split, untransformed.

    The encoder is completely frozen: BatchNorm uses its stored statistics and does not update
    them; the encoder's mode is restored.

    Args:
        encoder: Module that maps images (B, 3, P, P) to features (B, dim).
        store: The packed split.
        view_px: Side P of the encoder's input in pixels.
        batch: Number of images per batch.

    Returns:
        float32 (N, dim), on the CPU.
    """
    device = next((weights.device for weights in encoder.parameters()), torch.device("cpu"))
    rows, buffer = [], store.buffer(min(batch, len(store)))
    with frozen(encoder):
        for indices in np.array_split(np.arange(len(store)), max(1, -(-len(store) // batch))):
            crops = store.crops(indices, out=buffer).to(device)
            views = plain_view(crops, view_px=view_px, context=store.manifest.context)
            rows.append(encoder(views).float().cpu())
    return torch.cat(rows)


@torch.no_grad()
def settle_batch_norm(
    encoder: nn.Module, store: PackedSplit, *, view_px: int, batch: int = 256
) -> None:
    """Set BatchNorm statistics to the average over one pass of a split, without changing weights.

    Args:
        encoder: A module with BatchNorm layers.
        store: The packed split.
        view_px: Side of the encoder's input in pixels.
        batch: Number of images per batch; all have equal weight, a smaller last one is left out.
    """
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative average
    encoder.train()
    batch = min(batch, len(store))
    for start in range(0, len(store) - batch + 1, batch):
        crops = store.crops(np.arange(start, start + batch))
        encoder(plain_view(crops, view_px=view_px, context=store.manifest.context))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    encoder.eval()
