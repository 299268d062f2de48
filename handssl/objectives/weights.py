"""Combine several losses into one: with Eq. 3, or with fixed weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from handssl.objectives.config import Weighting

MIN_LOG_SIGMA = -5.0


class LearnedWeights(nn.Module):
    """Eq. 3: L = sum_k (L_k / sigma_k + log sigma_k) with trainable log sigma.

    log sigma starts at 0 and is clamped to at least -5, so a loss near 0 cannot drive the weight to
    infinity. A negative total is normal.

    Args:
        names: Names of the terms.

    Reference:
        Eq. 3; A. Kendall, Y. Gal, R. Cipolla, "Multi-task learning using uncertainty to weigh
        losses for scene geometry and semantics", CVPR 2018.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.log_sigma = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})

    def forward(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted total of scalar losses."""
        terms = []
        for name, loss in losses.items():
            bounded = self.log_sigma[name].clamp(min=MIN_LOG_SIGMA)
            terms.append(loss * torch.exp(-bounded) + bounded)
        return torch.stack(terms).sum()

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Return sigma of every term, detached."""
        return {
            name: value.detach().clamp(min=MIN_LOG_SIGMA).exp()
            for name, value in self.log_sigma.items()
        }


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


Weights = LearnedWeights | FixedWeights


def build_weights(weighting: Weighting, names: Sequence[str]) -> Weights:
    """Return the module for a weighting."""
    return LearnedWeights(names) if weighting == "learned" else FixedWeights()
