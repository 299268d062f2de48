"""Combine several losses into one: with Eq. 3, its minimum over sigma, or fixed weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from handssl.distributed import sum_over_ranks, world_size
from handssl.objectives.config import Weighting

MIN_LOG_SIGMA = -5.0
_LEAST_LOSS = math.exp(MIN_LOG_SIGMA)


class LearnedWeights(nn.Module):
    """Eq. 3: L = sum_k (L_k / sigma_k + log sigma_k) with trainable log sigma.

    `project` keeps log sigma at or above -5 after each update, so a loss near 0 cannot drive the
    weight to infinity, while the gradient 1 - L_k / sigma_k of Eq. 3 still raises log sigma when
    the loss grows again. A negative total is normal.

    Args:
        names: Names of the terms.
        from_loss: Whether log sigma_k starts at log L_k of the first batch in training, where Eq. 3
            has its minimum, instead of 0.

    Reference:
        Eq. 3; A. Kendall, Y. Gal, R. Cipolla, "Multi-task learning using uncertainty to weigh
        losses for scene geometry and semantics", CVPR 2018.
    """

    started: torch.Tensor

    def __init__(self, names: Sequence[str], *, from_loss: bool = False) -> None:
        super().__init__()
        self.log_sigma = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})
        self.from_loss = from_loss
        if from_loss:
            self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted total of scalar losses."""
        if self.from_loss and self.training:
            self._start(losses)
        terms = [
            loss * torch.exp(-self.log_sigma[name]) + self.log_sigma[name]
            for name, loss in losses.items()
        ]
        return torch.stack(terms).sum()

    @torch.no_grad()
    def project(self) -> None:
        """Raise every log sigma below the bound to it."""
        for value in self.log_sigma.values():
            value.clamp_(min=MIN_LOG_SIGMA)

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Return sigma of every term, detached."""
        return {name: value.detach().exp() for name, value in self.log_sigma.items()}

    @torch.no_grad()
    def _start(self, losses: Mapping[str, torch.Tensor]) -> None:
        # Without a branch on the flag's value, which would wait for the device in every step.
        for name, loss in losses.items():
            first = _of_all_ranks(loss).clamp(min=_LEAST_LOSS).log()
            value = self.log_sigma[name]
            value.copy_(torch.where(self.started, value, first))
        self.started.fill_(True)


class LogSumWeights(nn.Module):
    """L = sum_k log L_k: Eq. 3 with sigma_k = L_k, its minimum over sigma, up to a constant.

    Losses below exp(-5) count as they do at the bound of Eq. 3: L_k exp(5) - 6.

    Example:
        >>> float(LogSumWeights()({"rotate": torch.tensor(1.0), "translate": torch.tensor(1.0)}))
        0.0
    """

    def forward(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of the logarithms of scalar losses.

        With several ranks, gradients averaged over ranks are those of log of the global loss.
        """
        terms = []
        for loss in losses.values():
            sigma = _of_all_ranks(loss).clamp(min=_LEAST_LOSS)
            terms.append(loss / sigma - 1.0 + sigma.log())
        return torch.stack(terms).sum()

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Return an empty dict: sigma is the loss itself."""
        return {}


class FixedWeights(nn.Module):
    """The plain sum L = sum_k L_k, equal to Eq. 3 with sigma_k = 1.

    Example:
        >>> float(FixedWeights()({"rotate": torch.tensor(1.0), "translate": torch.tensor(2.0)}))
        3.0
    """

    def forward(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of scalar losses."""
        return torch.stack(list(losses.values())).sum()

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Return an empty dict: no weight is trained, so none is logged."""
        return {}


Weights = LearnedWeights | LogSumWeights | FixedWeights


def build_weights(weighting: Weighting, names: Sequence[str]) -> Weights:
    """Return the module for a weighting."""
    if weighting == "log_sum":
        return LogSumWeights()
    if weighting == "fixed":
        return FixedWeights()
    return LearnedWeights(names, from_loss=weighting == "learned_from_loss")


def project(module: nn.Module) -> None:
    """Bring the trainable weights of losses within a module back into their bounds."""
    for part in module.modules():
        if isinstance(part, LearnedWeights):
            part.project()


def _of_all_ranks(loss: torch.Tensor) -> torch.Tensor:
    """Return the loss of the global batch, of which each rank has its share; no gradient."""
    return sum_over_ranks(loss.detach()) / world_size()
