"""The supervised objective: the pose itself, with labels; what the others are compared with."""

from __future__ import annotations

import torch
from torch import nn

from handssl.augment import Draw, move_points
from handssl.data.sample import Split
from handssl.distributed import global_mean
from handssl.objectives.interface import Encoded, Losses, PoseTarget


class Supervised(nn.Module):
    """A linear layer on the features, trained with labels: mean L1 of uv and z over valid joints.

    Every column of uv and z is standardised on the labels of `probe`; otherwise most updates of a
    short run would only bring the layer's bias to the mean pose.

    Args:
        dim: Size of the features.
    """

    draws: tuple[Draw, ...] = (0,)
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
        return Losses(global_mean(error * mask, mask.sum()))
