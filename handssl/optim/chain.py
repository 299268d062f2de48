"""One optimizer that drives a chain of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from handssl.optim.steps import Batch, Step


class ChainOptimizer(torch.optim.Optimizer):
    """w <- w - lr u, where u is the gradient after every step of a chain.

    Nothing waits for the device. What steps keep is in `state`, so that `state_dict` and
    `load_state_dict` continue exactly. Parameters without a gradient stay as they are.

    Args:
        parameters: Groups, from `decay_groups`; those without `weight_decay` or `adapt` are neither
            decayed nor adapted.
        steps: In order.
        lr: Learning rate.

    Example:
        >>> from handssl.optim.moments import Momentum
        >>> w = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = ChainOptimizer([{"params": [w]}], [Momentum(0.9)], lr=0.5)
        >>> w.sum().backward()
        >>> optimizer.step()
        >>> w.tolist()
        [0.5]
    """

    def __init__(
        self, parameters: list[dict[str, Any]], steps: Sequence[Step], *, lr: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": 0.0, "adapt": False})
        self.steps = tuple(steps)
        self._takes_rate = any(step.takes_rate for step in steps)
        self._ratios: list[Tensor] = []
        self._clipped: list[Tensor] = []

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient.

        Args:
            closure: Computes the loss and its gradients anew, as torch's optimizers take it.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._ratios, self._clipped = [], []
        for group in self.param_groups:
            self._update(group)
        return loss

    def trust_statistics(self) -> dict[str, Tensor]:
        """Return how the trust ratios of the last update were spread; nothing is waited for.

        Returns:
            Scalars on the device: `min`, `median`, `max` over all adapted tensors, and `clipped`,
            the share whose gradient the clip made smaller, if the chain clips. Where it clips, the
            ratio is to the learning rate, before the clip. Empty if nothing was adapted.
        """
        if not self._ratios:
            return {}
        ratios = torch.cat(self._ratios)
        found = {"min": ratios.min(), "median": ratios.median(), "max": ratios.max()}
        if self._clipped:
            found["clipped"] = torch.cat(self._clipped).to(ratios.dtype).mean()
        return found

    def _update(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        batch = Batch(
            parameters=parameters,
            updates=[p.grad for p in parameters],
            states=[self.state[p] for p in parameters],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            adapt=group["adapt"],
        )
        for step in self.steps:
            step(batch)
        rate = 1.0 if self._takes_rate else batch.lr
        torch._foreach_add_(parameters, batch.updates, alpha=-rate)
        self._record(batch)

    def _record(self, batch: Batch) -> None:
        if batch.ratios is not None:
            self._ratios.append(batch.ratios)
        if batch.clipped is not None:
            self._clipped.append(batch.clipped)
