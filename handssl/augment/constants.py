"""Small constant tensors, carried to each device once: a copy makes the host wait for a GPU."""

from __future__ import annotations

import torch

_KNOWN: dict[tuple[tuple[float, ...], torch.device, torch.dtype], torch.Tensor] = {}


def constant(values: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
    """Return a vector with the device and type of another tensor; not to be written to.

    Args:
        values: Its numbers.
        like: Gives device and type.

    Example:
        >>> constant((1.0, 2.0), torch.zeros(1, dtype=torch.float64))
        tensor([1., 2.], dtype=torch.float64)
    """
    key = (values, like.device, like.dtype)
    if key not in _KNOWN:
        _KNOWN[key] = torch.tensor(values, dtype=like.dtype, device=like.device)
    return _KNOWN[key]
