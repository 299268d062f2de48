"""Constants and numbers in floating point; small constants are cached per device.

A copy to a GPU would make the host wait.
"""

from __future__ import annotations

from functools import reduce

import torch

_KNOWN: dict[tuple[tuple[float, ...], torch.device, torch.dtype], torch.Tensor] = {}


def constant(values: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
    """Return a vector with the device and dtype of another tensor; it must not be modified.

    Args:
        values: Elements of the vector.
        like: Tensor that determines device and dtype; for integers the default floating dtype.

    Example:
        >>> constant((1.0, 2.0), torch.zeros(1, dtype=torch.float64))
        tensor([1., 2.], dtype=torch.float64)
    """
    dtype = like.dtype if like.is_floating_point() else torch.get_default_dtype()
    key = (values, like.device, dtype)
    if key not in _KNOWN:
        _KNOWN[key] = torch.tensor(values, dtype=dtype, device=like.device)
    return _KNOWN[key]


def as_floating(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return tensors in one floating dtype: the widest of theirs, for integers the default one.

    Example:
        >>> [t.dtype for t in as_floating(torch.tensor([1]), torch.tensor([2.0]).double())]
        [torch.float64, torch.float64]
    """
    floating = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
    dtype = reduce(torch.promote_types, floating) if floating else torch.get_default_dtype()
    return tuple(tensor.to(dtype) for tensor in tensors)
