"""Optimizer steps with state: momentum, and the two means of Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from handssl.optim.steps import Batch, Plain


@dataclass(frozen=True)
class Momentum:
    """v <- mu v + lr u; u <- v: the buffer includes the rate at the time of each update.

    Args:
        momentum: Momentum mu, in [0, 1).
    """

    momentum: float
    takes_rate = True

    def __call__(self, batch: Batch) -> None:
        """Add the updates to the momentum buffers and replace them by the buffers."""
        buffers = batch.kept("momentum")
        torch._foreach_mul_(buffers, self.momentum)
        torch._foreach_add_(buffers, batch.updates, alpha=batch.lr)
        batch.updates, batch.owned = buffers, False


@dataclass(frozen=True)
class AdamMoments(Plain):
    """u <- m / (sqrt(v) + eps) with bias-corrected means.

    Args:
        betas: Decay rates of the means of u and u^2.
        eps: Added to the root.

    Reference:
        D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1.
    """

    betas: tuple[float, float]
    eps: float

    def __call__(self, batch: Batch) -> None:
        """Update the means and replace the updates by their quotient."""
        first, second = batch.kept("exp_avg"), batch.kept("exp_avg_sq")
        beta_1, beta_2 = self.betas
        torch._foreach_lerp_(first, batch.updates, 1 - beta_1)
        torch._foreach_mul_(second, beta_2)
        torch._foreach_addcmul_(second, batch.updates, batch.updates, 1 - beta_2)
        counts = _count(batch.states)
        roots = _roots(batch, second)
        # m / (1 - b1^t) over sqrt(v / (1 - b2^t)) + eps, with the scalars moved into the root.
        torch._foreach_mul_(roots, [_bias(beta_1, t) / _bias(beta_2, t) ** 0.5 for t in counts])
        torch._foreach_add_(roots, [self.eps * _bias(beta_1, t) for t in counts])
        # A division would need new memory, which costs more than the additional pass.
        torch._foreach_reciprocal_(roots)
        torch._foreach_mul_(roots, first)
        batch.updates, batch.owned = roots, True


def _roots(batch: Batch, second: list[Tensor]) -> list[Tensor]:
    """Return the roots, written in place of the updates if these may be overwritten."""
    if not batch.owned:
        return list(torch._foreach_sqrt(second))
    torch._foreach_copy_(batch.updates, second)
    torch._foreach_sqrt_(batch.updates)
    return batch.updates


def _count(states: Sequence[dict[str, Any]]) -> list[int]:
    """Count this update in every state; a Python integer, since the device does not need it."""
    for state in states:
        state["step"] = state.get("step", 0) + 1
    return [state["step"] for state in states]


def _bias(beta: float, count: int) -> float:
    return float(1 - beta**count)
