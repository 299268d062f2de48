"""Cache of small constant tensors per device: a copy makes the host wait for a GPU."""

from __future__ import annotations

import torch

_KNOWN: dict[tuple[tuple[float, ...], torch.device, torch.dtype], torch.Tensor] = {}


def constant(values: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
    """Return a vector with the device and dtype of another tensor; it must not be modified.

    Args:
        values: Elements of the vector.
        like: Tensor that determines device and dtype.

    Example:
        >>> constant((1.0, 2.0), torch.zeros(1, dtype=torch.float64))
        tensor([1., 2.], dtype=torch.float64)
    """
    key = (values, like.device, like.dtype)
    if key not in _KNOWN:
        _KNOWN[key] = torch.tensor(values, dtype=like.dtype, device=like.device)
    return _KNOWN[key]
