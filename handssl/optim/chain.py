"""Optimizer that applies a chain of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from handssl.optim.steps import Batch, Step


class ChainOptimizer(torch.optim.Optimizer):
    """Update w <- w - lr u, where u is the gradient after all steps of a chain.

    It never waits for the device. The state of the steps is in `state`, so that `state_dict` and
    `load_state_dict` resume exactly. Parameters without a gradient are not changed.

    Args:
        parameters: Parameter groups from `decay_groups`; those without `weight_decay` or `adapt`
            are not decayed or not adapted.
        steps: Steps in the order of application.
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
            closure: Recomputes the loss and its gradients, as for torch's optimizers.

        Returns:
            The loss from the closure, or None.
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
        """Return statistics of the last update's trust ratios, without waiting for the device.

        Returns:
            Scalars on the device: `min`, `median`, `max` over all adapted tensors of the ratios
            themselves, without the learning rate and before a clip, and, if the chain clips,
            `clipped`, the share of gradients whose ratio is below the rate. Empty if nothing was
            adapted.
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
