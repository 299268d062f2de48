"""One interface for every objective: features and draws of a step in, named losses out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import nn

from handssl.augment import REGRESSABLE, AugmentConfig, move_points, regressed_intervals
from handssl.data.sample import Split
from handssl.models import HeadConfig, mlp
from handssl.objectives.contrastive import nt_xent
from handssl.objectives.relative import LearnedWeights, RelativeLoss

ObjectiveName = Literal["contrastive", "relative", "supervised"]
OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)


@dataclass(frozen=True)
class Encoded:
    """What an objective sees of one view of a batch.

    Attributes:
        h: (B, dim), features.
        theta: Draws, each (B, 1 + k) with the applied flag first.
        matrix: (B, 2, 3), view to stored crop in box sides.
    """

    h: torch.Tensor
    theta: Mapping[str, torch.Tensor]
    matrix: torch.Tensor


@dataclass(frozen=True)
class PoseTarget:
    """Labels of a batch, for the supervised objective.

    Attributes:
        uv: (B, 21, 2), box sides from the centre of the stored crop.
        z: (B, 21), root-relative depth in bone lengths.
        valid: bool (B, 21).
    """

    uv: torch.Tensor
    z: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class Losses:
    """Losses of one step; `total` is what is minimised, the rest is for the record."""

    total: torch.Tensor
    terms: dict[str, torch.Tensor] = field(default_factory=dict)
    sigmas: dict[str, torch.Tensor] = field(default_factory=dict)


class Contrastive(nn.Module):
    """Projection head and Eq. 1.

    Args:
        dim: Size of the features.
        heads: Sizes of the head.
        temperature: tau of Eq. 1.
    """

    views = 2
    split: Split = "pretrain"

    def __init__(self, dim: int, heads: HeadConfig, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.projection = mlp(dim, heads.projection_hidden, heads.projection_out)

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return Eq. 1 on the projections of both views, projected in one pass."""
        z_a, z_b = self.projection(torch.cat([view.h for view in views])).chunk(2)
        return Losses(nt_xent(z_a, z_b, temperature=self.temperature))


class Relative(nn.Module):
    """Relative heads, Eq. 2 for each regressable transformation and Eq. 3 over them.

    Args:
        dim: Size of the features.
        heads: Sizes of the heads.
        augmentation: Ranges, for the normalisation of targets.
        composition: The transformations that are on; those without parameters are applied only.
    """

    views = 2
    split: Split = "pretrain"

    def __init__(
        self,
        dim: int,
        heads: HeadConfig,
        augmentation: AugmentConfig,
        composition: tuple[str, ...],
    ) -> None:
        super().__init__()
        names = [name for name in sorted(composition) if name in REGRESSABLE]
        ranges = {name: regressed_intervals(name, augmentation) for name in names}
        self.relative = RelativeLoss(dim, heads.relative_hidden, ranges)
        self.weights = LearnedWeights(names)

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return Eq. 3 over the transformations."""
        theta_a, theta_b = ({k: v[:, 1:] for k, v in view.theta.items()} for view in views)
        terms = self.relative(views[0].h, views[1].h, theta_a, theta_b)
        sigmas = self.weights.sigmas()
        return Losses(self.weights(terms), {k: v.detach() for k, v in terms.items()}, sigmas)


class Supervised(nn.Module):
    """A linear layer on the features, trained with labels: mean L1 of uv and z over valid joints.

    Every column of uv and z is standardised on the labels of `probe`; otherwise most updates of a
    short run would only bring the layer's bias to the mean pose.

    Args:
        dim: Size of the features.
    """

    views = 1
    split: Split = "probe"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pose = nn.Linear(dim, 63)
        self.centre: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("centre", torch.zeros(21, 3))
        self.register_buffer("spread", torch.ones(21, 3))

    def standardise(self, target: PoseTarget) -> None:
        """Take mean and deviation of every column from all labels of `probe`."""
        columns = torch.cat((target.uv, target.z[..., None]), dim=-1)
        known = target.valid[..., None] & torch.isfinite(columns)
        count = known.sum(0).clamp(min=1)
        self.centre = torch.where(known, columns, 0.0).sum(0) / count
        squares = torch.where(known, columns - self.centre, 0.0).square().sum(0) / count
        # A column without spread (the root's depth) keeps its unit.
        self.spread = torch.where(squares > 1e-12, squares.sqrt(), torch.ones_like(squares))

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return the loss; keypoints follow the geometry of the view."""
        assert target is not None  # noqa: S101  the loop reads labels where split is 'probe'
        uv = move_points(target.uv, views[0].matrix)
        truth = (torch.cat((uv, target.z[..., None]), dim=-1) - self.centre) / self.spread
        mask = target.valid[..., None] & torch.isfinite(truth)
        # An invalid label may be anything, NaN included; it must not reach the gradient.
        error = (self.pose(views[0].h).reshape(truth.shape) - torch.where(mask, truth, 0.0)).abs()
        return Losses((error * mask).sum() / mask.sum().clamp(min=1))


Objective = Contrastive | Relative | Supervised


def build_objective(
    name: ObjectiveName,
    *,
    dim: int,
    heads: HeadConfig,
    augmentation: AugmentConfig,
    composition: tuple[str, ...],
    temperature: float,
) -> Objective:
    """Return the objective a configuration names, its heads uninitialised."""
    if name == "contrastive":
        return Contrastive(dim, heads, temperature)
    if name == "relative":
        return Relative(dim, heads, augmentation, composition)
    return Supervised(dim)
