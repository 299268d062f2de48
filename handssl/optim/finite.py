"""Which tensor is not finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


def first_non_finite(named: Iterable[tuple[str, Tensor]]) -> str | None:
    """Return the name of the first tensor that holds a NaN or an infinity; waits once.

    Args:
        named: Names and tensors of any shape, all on one device; integers are always finite.

    Returns:
        The name, or None.

    Example:
        >>> first_non_finite([("a", torch.zeros(2)), ("b", torch.tensor([0.0, float("nan")]))])
        'b'
    """
    chosen = [(name, t.detach()) for name, t in named if t.is_floating_point() and t.numel()]
    if not chosen:
        return None
    largest = torch._foreach_norm([tensor for _, tensor in chosen], float("inf"))
    finite = torch.stack([norm.isfinite() for norm in largest]).tolist()
    return next((name for (name, _), good in zip(chosen, finite, strict=True) if not good), None)


def named_weights_and_gradients(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield gradients ("gradient of NAME"), then parameters: a bad gradient is the cause.

    Args:
        module: Whose tensors are looked at; parameters without gradient give themselves alone.
    """
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            yield f"gradient of {name}", parameter.grad
    yield from module.named_parameters()
