"""Supervised objective of encoders with maps: latent 2.5D heatmap regression."""

from __future__ import annotations

import torch
from torch import nn

from handssl.data.sample import Split
from handssl.distributed import global_mean
from handssl.models import HeatmapHead, MapShape
from handssl.objectives.interface import Encoded, Losses, PoseTarget
from handssl.transforms import Draw, move_points


class HeatmapRegression(nn.Module):
    """A head on the maps of every stage, trained with L1 of keypoints and depths.

    L = sum over stages of L_uv + alpha L_z (see `heatmap_losses`); the pose is that of the last
    stage.

    Args:
        maps: Shape of the maps of one stage.
        stages: Number of stages.
        depth_weight: alpha, in box sides per bone length.

    Reference:
        U. Iqbal, P. Molchanov, T. Breuel, J. Gall, J. Kautz, "Hand pose estimation via latent 2.5D
        heatmap regression", ECCV 2018.
    """

    draws: tuple[Draw, ...] = (0,)
    split: Split = "probe"

    def __init__(self, maps: MapShape, stages: int, depth_weight: float) -> None:
        super().__init__()
        self.depth_weight = depth_weight
        self.heads = nn.ModuleList(HeatmapHead(maps) for _ in range(stages))

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return the loss; terms `uv` and `z` are those of the last stage, without weight.

        Args:
            views: One view, whose features are the vectorised maps of all stages.
            target: Labels; the keypoints are transformed with the view.
        """
        assert target is not None  # noqa: S101  the loop reads labels where split is 'probe'
        moved = PoseTarget(move_points(target.uv, views[0].matrix), target.z, target.valid)
        parts = views[0].h.chunk(len(self.heads), dim=1)
        poses = [head(part) for head, part in zip(self.heads, parts, strict=True)]
        found = [heatmap_losses(uv, z, moved) for uv, z in poses]
        total = torch.stack([uv + self.depth_weight * z for uv, z in found]).sum()
        uv, z = found[-1]
        return Losses(total, {"uv": uv.detach(), "z": z.detach()})


def heatmap_losses(
    uv: torch.Tensor, z: torch.Tensor, target: PoseTarget
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean absolute errors of keypoints and of depths over joints with a label.

    L_uv = mean |uv - uv'| over both coordinates, in box sides; L_z = mean |z - z'|, in lengths of
    the bone from the wrist to the middle finger's base. The wrist, with z = z' = 0, counts.

    Args:
        uv: Keypoints in box sides from the centre of the view, (B, 21, 2).
        z: Depths relative to the wrist, (B, 21).
        target: Labels in the same coordinates; an invalid one may have any value.

    Returns:
        L_uv and L_z, each this rank's share of the global batch.
    """
    return _mean_error(uv, target.uv, target.valid[..., None]), _mean_error(
        z, target.z, target.valid
    )


def _mean_error(found: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    mask = valid & torch.isfinite(truth)
    # An invalid label may be NaN, which must not reach the gradient.
    error = (found - torch.where(mask, truth, 0.0)).abs()
    return global_mean(error * mask, mask.sum())
