"""What a step needs of a GPU's memory, reckoned from shapes: nothing is allocated for it."""

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
# A batch of views lies in memory as it is made, and once more put together.
_IMAGE_COPIES = 2
# A weight, its gradient, and two numbers of an optimizer.
_PER_WEIGHT = 4
_PROBED_VIEWS = 16
# Workspaces of kernels, heads, gaps of the allocator; and CUDA itself, once for each process.
_MARGIN, _CONTEXT_BYTES = 1.2, 600_000_000


def step_bytes(
    config: PretrainConfig, draws: int, precision: Precision = "bf16", *, workers: int = 1
) -> int | None:
    """Return about what a trial takes of each GPU while it makes a step, without resident crops.

    Nearly all of it is what the encoder keeps of every view for the backward pass, BatchNorm being
    that of the whole batch: views x (kept + images) + weights, and a fifth more.

    Args:
        config: Of the trial.
        draws: Views of each image that a step encodes.
        precision: Of the encoder.
        workers: That share the batch.

    Returns:
        Bytes; None where the encoder is not ours and cannot be reckoned with.

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
    """Return the bytes an encoder keeps of a view, and the number of its weights."""
    config = PretrainConfig.parse({"encoder": json.loads(text)}).encoder
    try:
        with torch.device("meta"):
            encoder = build_encoder(config).train()
        kept = kept_bytes(encoder.to(_TYPES[precision]), config.input_px, _PROBED_VIEWS)
    except Exception:  # an encoder of the user's may do what a device without memory cannot
        return None
    return kept / _PROBED_VIEWS, sum(p.numel() for p in encoder.parameters())


def kept_bytes(encoder: nn.Module, input_px: int, views: int) -> int:
    """Return what a forward pass keeps for the backward one, weights and what they share excluded.

    Args:
        encoder: On any device, in training.
        input_px: Side of a view.
        views: How many.
    """
    weight = next(encoder.parameters())
    images = torch.empty(views, 3, input_px, input_px, dtype=weight.dtype, device=weight.device)
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # held, so that no other gets its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        features = encoder(images.contiguous(memory_format=torch.channels_last))
    own = {parameter.untyped_storage()._cdata for parameter in encoder.parameters()}
    del features
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)
