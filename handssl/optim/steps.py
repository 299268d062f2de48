"""Small steps that optimizers are made of.

Each takes the updates of one parameter group, lists of tensors, and returns them changed. Numbers
that depend on data stay tensors on their device: no step waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass
class Batch:
    """What the steps of one group share during one update.

    Attributes:
        parameters: Tensors w that have a gradient.
        updates: What becomes of their gradients; subtracted from them in the end.
        states: What is kept of each between updates.
        lr: The rate now.
        weight_decay: Of this group.
        adapt: Whether trust ratios scale this group.
        owned: Whether `updates` may be written over: not while they are gradients or kept state.
        norms: |w| and |update| when they were measured, (N,) each.
        ratios: Trust ratios, (N,).
        clipped: Whether the clip acts, (N,).
        scales: What the updates are multiplied by, (N,).
    """

    parameters: list[Tensor]
    updates: list[Tensor]
    states: list[dict[str, Any]]
    lr: float
    weight_decay: float
    adapt: bool
    owned: bool = False
    norms: tuple[Tensor, Tensor] | None = None
    ratios: Tensor | None = None
    clipped: Tensor | None = None
    scales: Tensor | None = None

    def kept(self, name: str) -> list[Tensor]:
        """Return the tensors of a name that are kept between updates, zeros at first."""
        for parameter, state in zip(self.parameters, self.states, strict=True):
            if name not in state:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return [state[name] for state in self.states]


class Step(Protocol):
    """One change of the updates; `takes_rate` if the learning rate is multiplied in here."""

    @property
    def takes_rate(self) -> bool:
        """Whether nothing that comes later multiplies by the rate."""
        ...

    def __call__(self, batch: Batch) -> None:
        """Change the batch in place."""
        ...


class Plain:
    """A step that leaves the learning rate to others."""

    takes_rate = False


@dataclass(frozen=True)
class Decay(Plain):
    """u <- u + wd w.

    Args:
        skip_still: Leave tensors alone whose measured norm or whose gradient's norm is 0.
    """

    skip_still: bool = False

    def __call__(self, batch: Batch) -> None:
        """Add to the updates; gradients are not written over."""
        if batch.weight_decay == 0:
            return
        if self.skip_still and batch.norms is not None:
            moving = (batch.norms[0] > 0) & (batch.norms[1] > 0)
            # In the dtype of the norms: a mask times a plain number would be float32.
            decays = (moving.to(batch.norms[0].dtype) * batch.weight_decay).unbind()
            decayed = torch._foreach_mul(batch.parameters, decays)
            torch._foreach_add_(decayed, batch.updates)
            batch.updates = list(decayed)
        elif batch.owned:
            torch._foreach_add_(batch.updates, batch.parameters, alpha=batch.weight_decay)
        else:
            batch.updates = list(
                torch._foreach_add(batch.updates, batch.parameters, alpha=batch.weight_decay)
            )
        batch.owned = True


class MeasureNorms(Plain):
    """|w| and |u|, the Euclidean norms of every tensor that is adapted."""

    def __call__(self, batch: Batch) -> None:
        """Keep both in the batch."""
        if batch.adapt:
            batch.norms = (
                torch.stack(torch._foreach_norm(batch.parameters)),
                torch.stack(torch._foreach_norm(batch.updates)),
            )


@dataclass(frozen=True)
class TrustRatio(Plain):
    """r = eta |w| / (|u| + wd |w| + eps), and 1 where |w| or |u| is 0.

    Args:
        coefficient: eta.
        eps: Below the line.
        decay_below: Whether wd |w| stands below the line; not where u holds the decay already.
    """

    coefficient: float
    eps: float = 0.0
    decay_below: bool = False

    def __call__(self, batch: Batch) -> None:
        """Compute the ratios from the norms measured before; the updates stay."""
        if batch.norms is None:
            return
        weights, updates = batch.norms
        below = updates + self.eps
        if self.decay_below and batch.weight_decay:
            below = below + batch.weight_decay * weights
        still = (weights == 0) | (updates == 0)
        batch.ratios = (self.coefficient * weights / below).masked_fill(still, 1.0)
        batch.scales = batch.ratios


class ClipByRate(Plain):
    """r <- r / lr; scale = min(r, 1), and 1 where |w| or |u| is 0: the rate itself is the bound."""

    def __call__(self, batch: Batch) -> None:
        """Replace the scales; `clipped` where they are below 1."""
        if batch.norms is None or batch.ratios is None:
            return
        still = (batch.norms[0] == 0) | (batch.norms[1] == 0)
        batch.ratios = (batch.ratios / batch.lr).masked_fill(still, 1.0)
        batch.scales = batch.ratios.clamp(max=1.0)
        batch.clipped = batch.scales < 1


class Scale(Plain):
    """u <- scale u."""

    def __call__(self, batch: Batch) -> None:
        """Multiply every tensor by its own number."""
        if batch.scales is None:
            return
        if batch.owned:
            torch._foreach_mul_(batch.updates, batch.scales.unbind())
        else:
            batch.updates = list(torch._foreach_mul(batch.updates, batch.scales.unbind()))
        batch.owned = True
