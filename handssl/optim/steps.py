"""Steps that optimizers are composed of.

Each modifies the updates of one parameter group, lists of tensors. Numbers that depend on data
remain tensors on their device: no step waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass
class Batch:
    """Data shared by the steps for one parameter group during one update.

    Attributes:
        parameters: Tensors w that have a gradient.
        updates: Updates, initially the gradients; finally subtracted from the parameters.
        states: State of each parameter between updates.
        lr: Current learning rate.
        weight_decay: Weight decay of this group.
        adapt: Whether trust ratios scale this group.
        owned: Whether `updates` may be overwritten: false while they are gradients or state.
        norms: |w| and |update| if they were measured, (N,) each.
        ratios: Trust ratios, (N,).
        clipped: Whether each tensor's update is clipped, bool (N,).
        scales: Factors of the updates, (N,).
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
        """Return the state tensors with a name, zeros at first."""
        for parameter, state in zip(self.parameters, self.states, strict=True):
            if name not in state:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return [state[name] for state in self.states]


class Step(Protocol):
    """One change of the updates; `takes_rate` if it includes the learning rate."""

    @property
    def takes_rate(self) -> bool:
        """Whether this step multiplies by the learning rate, so that later code must not."""
        ...

    def __call__(self, batch: Batch) -> None:
        """Change the batch in place."""
        ...


class Plain:
    """A step that does not multiply by the learning rate."""

    takes_rate = False


@dataclass(frozen=True)
class Decay(Plain):
    """u <- u + wd w.

    Args:
        skip_still: Whether to skip tensors whose measured norm or gradient norm is 0.
    """

    skip_still: bool = False

    def __call__(self, batch: Batch) -> None:
        """Add the decay to the updates; gradients are not overwritten."""
        if batch.weight_decay == 0:
            return
        if self.skip_still and batch.norms is not None:
            moving = (batch.norms[0] > 0) & (batch.norms[1] > 0)
            # In the dtype of the norms: a mask times a Python number would be float32.
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
    """|w| and |u|, the Euclidean norms of every adapted tensor."""

    def __call__(self, batch: Batch) -> None:
        """Store both norms in the batch."""
        if batch.adapt:
            batch.norms = (
                torch.stack(torch._foreach_norm(batch.parameters)),
                torch.stack(torch._foreach_norm(batch.updates)),
            )


@dataclass(frozen=True)
class TrustRatio(Plain):
    """r = eta |w| / (|u| + wd |w| + eps), and 1 where |w| or |u| is 0.

    Args:
        coefficient: Trust coefficient eta.
        eps: Added to the denominator.
        decay_below: Whether the denominator includes wd |w|; false if u includes the decay.
    """

    coefficient: float
    eps: float = 0.0
    decay_below: bool = False

    def __call__(self, batch: Batch) -> None:
        """Compute the ratios from the measured norms; the updates are not changed."""
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
    """Scale = min(r / lr, 1), and 1 where |w| or |u| is 0: the rate is the bound.

    The ratios r themselves stay, since r / lr grows without limit as the rate falls to 0.
    """

    def __call__(self, batch: Batch) -> None:
        """Replace the scales and set `clipped` where they are below 1."""
        if batch.norms is None or batch.ratios is None:
            return
        still = (batch.norms[0] == 0) | (batch.norms[1] == 0)
        batch.scales = (batch.ratios / batch.lr).masked_fill(still, 1.0).clamp(max=1.0)
        batch.clipped = batch.scales < 1


class Scale(Plain):
    """u <- scale u."""

    def __call__(self, batch: Batch) -> None:
        """Multiply every update by its scale."""
        if batch.scales is None:
            return
        if batch.owned:
            torch._foreach_mul_(batch.updates, batch.scales.unbind())
        else:
            batch.updates = list(torch._foreach_mul(batch.updates, batch.scales.unbind()))
        batch.owned = True
