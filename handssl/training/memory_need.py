"""Estimate the GPU memory of a step from shapes, without allocating it."""

from __future__ import annotations

import json
from functools import lru_cache

import torch
from torch import nn

from handssl.models import build_encoder
from handssl.training.config import PretrainConfig
from handssl.training.execution import Precision

_TYPES = {"bf16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
_FLOAT_BYTES = 4
# A batch of views is in memory as separate views, and again concatenated.
_IMAGE_COPIES = 2
# A weight, its gradient, and two numbers of optimizer state.
_PER_WEIGHT = 4
_PROBED_VIEWS = 16
# Workspaces of kernels, heads, fragmentation; and the CUDA context, once per process.
_MARGIN, _CONTEXT_BYTES = 1.2, 600_000_000


def step_bytes(
    config: PretrainConfig, draws: int, precision: Precision = "bf16", *, workers: int = 1
) -> int | None:
    """Return the approximate memory of a trial on each GPU during a step, without resident crops.

    Nearly all of it is the encoder's saved activations of every view for the backward pass, since
    BatchNorm needs the whole batch: views x (saved + images) + weights, and a margin of a fifth.

    Args:
        config: Configuration of the trial.
        draws: Number of views of each image in a step.
        precision: Precision of the encoder.
        workers: Number of workers that share the batch.

    Returns:
        Bytes; None for a custom encoder that cannot be estimated.

    Example:
        >>> round(step_bytes(PretrainConfig(), 2) / 1e9)
        22
    """
    encoder = config.encoder.model_dump_json()
    found = _of_encoder(encoder, precision)
    if found is None:
        return None
    kept, weights = found
    views = config.global_batch * draws / config.accumulation / workers
    images = _IMAGE_COPIES * 3 * config.encoder.input_px**2 * _FLOAT_BYTES
    needed = views * (kept + images) + weights * _PER_WEIGHT * _FLOAT_BYTES
    return round(_MARGIN * needed) + _CONTEXT_BYTES


@lru_cache(maxsize=64)
def _of_encoder(text: str, precision: Precision) -> tuple[float, int] | None:
    """Return the bytes that an encoder saves per view, and the number of its weights."""
    config = PretrainConfig.parse({"encoder": json.loads(text)}).encoder
    try:
        with torch.device("meta"):
            encoder = build_encoder(config).train()
        kept = kept_bytes(encoder.to(_TYPES[precision]), config.input_px, _PROBED_VIEWS)
    except Exception:  # a custom encoder may not support the meta device
        return None
    return kept / _PROBED_VIEWS, sum(p.numel() for p in encoder.parameters())


def kept_bytes(encoder: nn.Module, input_px: int, views: int) -> int:
    """Return the bytes that a forward pass saves for the backward pass, without weights.

    Args:
        encoder: Encoder on any device, in training mode.
        input_px: Side of a view in pixels.
        views: Number of views.
    """
    weight = next(encoder.parameters())
    images = torch.empty(views, 3, input_px, input_px, dtype=weight.dtype, device=weight.device)
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # kept alive, so that its address is not reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        features = encoder(images.contiguous(memory_format=torch.channels_last))
    own = {parameter.untyped_storage()._cdata for parameter in encoder.parameters()}
    del features
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)
