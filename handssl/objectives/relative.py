"""Relative objective: Eq. 2 for one transformation, Eq. 3 for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from handssl.data.sample import Split
from handssl.distributed import global_mean
from handssl.errors import InputError
from handssl.models import HeadConfig, RelativeHead
from handssl.objectives.config import RelativeConfig
from handssl.objectives.interface import Encoded, Losses, PoseTarget
from handssl.objectives.targets import (
    between_views_target,
    published_target,
    regressed_ranges,
    relative_target,
)
from handssl.objectives.weights import build_weights
from handssl.transforms import AugmentConfig, Draw, Interval

Maps = tuple[torch.Tensor, torch.Tensor]


class RelativeLoss(nn.Module):
    """Heads g_t and Eq. 2 for the regressable transformations of a composition.

    Args:
        dim: Size of the features of one view.
        hidden: Hidden units of each head.
        ranges: Intervals of one view's parameters, by transformation.
        options: Norm and order; default: mean L1, both orders.
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        ranges: Mapping[str, Sequence[Interval]],
        options: RelativeConfig | None = None,
    ) -> None:
        super().__init__()
        self.options = options or RelativeConfig()
        self.ranges = dict(ranges)
        self.heads = nn.ModuleDict(
            {name: RelativeHead(dim, hidden, len(intervals)) for name, intervals in ranges.items()}
        )

    def forward(
        self,
        h_a: torch.Tensor,
        h_b: torch.Tensor,
        theta_a: Mapping[str, torch.Tensor],
        theta_b: Mapping[str, torch.Tensor],
        maps: Maps | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return L_t of Eq. 2 for each transformation, averaged over the orders of the pair.

        Args:
            h_a: (B, dim), features of the first views.
            h_b: (B, dim), features of the second views.
            theta_a: Parameters of the first views by transformation, (B, k) each.
            theta_b: Parameters of the second views by transformation, (B, k) each.
            maps: Both views' matrices, (B, 2, 3) each, for targets `between_views`.
        """
        losses = {}
        for name, head in self.heads.items():
            target = self.target(name, theta_a[name], theta_b[name], maps)
            if self.options.order == "one":
                losses[name] = self._distance(head(h_a, h_b) - target)
                continue
            # Both orders in one pass, so that they share the head's BatchNorm statistics.
            predicted = head(torch.cat((h_a, h_b)), torch.cat((h_b, h_a)))
            back = self.target(name, theta_b[name], theta_a[name], maps and maps[::-1])
            losses[name] = self._distance(predicted - torch.cat((target, back)))
        return losses

    def target(
        self, name: str, theta_a: torch.Tensor, theta_b: torch.Tensor, maps: Maps | None = None
    ) -> torch.Tensor:
        """Return what the head of a transformation predicts from (h_a, h_b), (B, k).

        Args:
            name: Name of the transformation.
            theta_a: (B, k), parameters of the first views.
            theta_b: (B, k), parameters of the second views.
            maps: Both views' matrices, for targets `between_views`.
        """
        if self.options.targets == "published":
            return published_target(name, theta_a, theta_b)
        ranges = self.ranges[name]
        if self.options.targets == "normalised":
            return relative_target(name, theta_a, theta_b, ranges=ranges)
        if maps is None:
            raise InputError("targets 'between_views' need the matrices of both views, got none")
        return between_views_target(name, theta_a, theta_b, maps=maps, ranges=ranges)

    def of_pair(self, first: Encoded, second: Encoded) -> dict[str, torch.Tensor]:
        """Return L_t of two views with their drawn parameters."""
        theta_a, theta_b = (
            {name: view.parameters(name) for name in self.heads} for view in (first, second)
        )
        maps = (first.matrix, second.matrix)
        return self(first.h, second.h, theta_a, theta_b, maps)  # type: ignore[no-any-return]

    def _distance(self, error: torch.Tensor) -> torch.Tensor:
        if self.options.norm == "l1":
            return global_mean(error.abs())
        return global_mean(torch.linalg.vector_norm(error, dim=1))


class Relative(nn.Module):
    """Relative heads, Eq. 2 for each regressable transformation and Eq. 3 over them.

    Args:
        dim: Size of the features.
        heads: Sizes of the heads.
        augmentation: Ranges, for the normalisation of targets.
        composition: The enabled transformations; those without parameters are only applied.
        options: Norm, order and weighting.
    """

    draws: tuple[Draw, ...] = (0, 1)
    split: Split = "pretrain"

    def __init__(
        self,
        dim: int,
        heads: HeadConfig,
        augmentation: AugmentConfig,
        composition: Sequence[str],
        options: RelativeConfig | None = None,
    ) -> None:
        super().__init__()
        options = options or RelativeConfig()
        ranges = regressed_ranges(composition, augmentation)
        self.relative = RelativeLoss(dim, heads.relative_hidden, ranges, options)
        self.weights = build_weights(options.weighting, list(ranges))

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return Eq. 3 over the transformations."""
        terms = self.relative.of_pair(views[0], views[1])
        total = self.weights(terms)
        return Losses(total, {k: v.detach() for k, v in terms.items()}, self.weights.sigmas())
