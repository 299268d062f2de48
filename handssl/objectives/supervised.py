"""Supervised objective: regression of the labelled pose, a baseline for the others."""

from __future__ import annotations

import torch
from torch import nn

from handssl.data.sample import Split
from handssl.distributed import global_mean
from handssl.objectives.interface import Encoded, Losses, PoseTarget
from handssl.transforms import Draw, move_points


class Supervised(nn.Module):
    """A linear layer on the features, trained with the mean L1 of uv and z over valid joints.

    Every column of uv and z is standardised with the labels of `probe`; otherwise most updates of a
    short run would only move the layer's bias to the mean pose.

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
        """Compute mean and standard deviation of every column from all labels of `probe`."""
        columns = torch.cat((target.uv, target.z[..., None]), dim=-1)
        known = target.valid[..., None] & torch.isfinite(columns)
        count = known.sum(0).clamp(min=1)
        self.centre = torch.where(known, columns, 0.0).sum(0) / count
        squares = torch.where(known, columns - self.centre, 0.0).square().sum(0) / count
        # A column without spread (the root's depth) keeps its unit.
        self.spread = torch.where(squares > 1e-12, squares.sqrt(), torch.ones_like(squares))

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return the predicted pose of untransformed images, in the units of the labels.

        Args:
            features: Features of the encoder, (N, dim).

        Returns:
            The 63 columns of a probe (N, 63): 42 of uv in box sides, then 21 of z.
        """
        columns = self.pose(features).reshape(-1, 21, 3) * self.spread + self.centre
        return _as_columns(columns)

    def linear(self) -> dict[str, torch.Tensor]:
        """Return `predict` as one layer: weight (dim, 63) and intercept (63,)."""
        spread, centre = self.spread.double(), self.centre.double()
        weight = self.pose.weight.double().T.reshape(-1, 21, 3) * spread
        intercept = self.pose.bias.double().reshape(21, 3) * spread + centre
        return {"weight": _as_columns(weight), "intercept": _as_columns(intercept[None])[0]}

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return the loss; the keypoints are transformed with the view."""
        assert target is not None  # noqa: S101  the loop reads labels where split is 'probe'
        uv = move_points(target.uv, views[0].matrix)
        truth = (torch.cat((uv, target.z[..., None]), dim=-1) - self.centre) / self.spread
        mask = target.valid[..., None] & torch.isfinite(truth)
        # An invalid label may have any value, even NaN, which must not reach the gradient.
        error = (self.pose(views[0].h).reshape(truth.shape) - torch.where(mask, truth, 0.0)).abs()
        return Losses(global_mean(error * mask, mask.sum()))


def _as_columns(pose: torch.Tensor) -> torch.Tensor:
    """Return poses (N, 21, 3) of (u, v, z) as the columns of a probe, (N, 63)."""
    return torch.cat((pose[..., :2].flatten(1), pose[..., 2]), dim=1)
