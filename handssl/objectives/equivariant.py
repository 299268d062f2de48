"""Equivariant objective: contrastive loss after inverting geometry in the projection space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from handssl.data.sample import Split
from handssl.distributed import gather, world_size
from handssl.errors import InputError
from handssl.models import HeadConfig, MapShape, projection_head
from handssl.objectives.config import EquivariantConfig, Inversion
from handssl.objectives.contrastive import nt_xent
from handssl.objectives.interface import Encoded, Losses, PoseTarget
from handssl.transforms import Draw, composition_name
from handssl.transforms.device_constants import as_floating

# Transformations that leave something to invert in the plane of the projected points; scale alone
# is removed by the normalisation.
INVERTIBLE = ("rotate", "translate")

RADIUS_BOXES = 0.2
"""Root mean square distance of projected points from the view's centre, in box sides.

About that of the joints of a hand in its published crop box: 0.19 on procedural hands.
"""


def undo(z: torch.Tensor, view: Encoded, inversion: Inversion = "exact") -> torch.Tensor:
    """Map the projection of a view, interpreted as 2D points, back into the source image.

    `exact`: points q_i are box sides from the view's centre, and p_i = R(-angle) q_i / f + t is the
    inverse of the view q = f R(angle) (p - t) for any rotation, translation and scale.

    `published`: the order of PeCLR, whose crop follows its rotation. Points are L2-normalised
    first, moved by t times their extent along each axis, then turned by -angle about their mean;
    extent and mean carry no gradient, and scale is left to the normalisation. On our views it is
    an approximation.

    Args:
        z: (B, D), D even; coordinates alternate x, y.
        view: View with theta and its map to the source image.
        inversion: `exact` or `published`.

    Returns:
        (B, D), rows of length 1.

    Raises:
        InputError: D is odd.

    Reference:
        A. Spurr, A. Dahiya, X. Wang, X. Zhang, O. Hilliges, "Self-supervised 3D hand pose
        estimation from monocular RGB via contrastive learning", ICCV 2021.
    """
    if z.shape[1] % 2:
        raise InputError(f"undo: expected (B, D) with an even D, got {tuple(z.shape)}")
    if inversion == "published":
        points = _published(F.normalize(z, dim=1).reshape(len(z), -1, 2), view)
    else:
        z, matrix = as_floating(z, view.matrix)
        points = z.reshape(len(z), -1, 2) @ matrix[:, :, :2].mT + matrix[:, None, :, 2]
    return F.normalize(points.flatten(1), dim=1)


def fix_radius(z: torch.Tensor) -> torch.Tensor:
    """Scale the points of a global batch to the root mean square radius of joints in a box.

    Without it a network could lower the loss by enlarging all points until a translation no longer
    matters, which would be invariance.

    Args:
        z: (B, D), projections of this rank; coordinates alternate x, y.

    Returns:
        (B, D); over all ranks, points have the root mean square length `RADIUS_BOXES`.

    Example:
        >>> points = fix_radius(torch.tensor([[3.0, 4.0]]))
        >>> round(float(points.norm()), 3)
        0.2
    """
    sums = torch.stack((z.square().sum(), z.new_tensor(z.numel() / 2)))
    squares, count = gather(sums[None], [1] * world_size()).sum(0)
    return z * (RADIUS_BOXES * torch.rsqrt(squares / count + 1e-12))


class Equivariant(nn.Module):
    """Projection head, inverse geometry on its points, Eq. 1.

    Features become invariant to appearance and equivariant to geometric transformations, without
    a head that predicts them.

    Args:
        dim: Size of the features.
        heads: Sizes of the head; `projection_out` is even, two coordinates per point.
        composition: The enabled transformations, with at least one of rotate and translate.
        temperature: tau of Eq. 1.
        options: How geometry is inverted.
        maps: Shape of the maps, if the features are vectorised maps.

    Raises:
        InputError: There is nothing to invert, or `projection_out` is odd.
    """

    draws: tuple[Draw, ...] = (0, 1)
    split: Split = "pretrain"

    def __init__(
        self,
        dim: int,
        heads: HeadConfig,
        composition: Sequence[str],
        temperature: float,
        options: EquivariantConfig | None = None,
        maps: MapShape | None = None,
    ) -> None:
        super().__init__()
        check_equivariant(composition, heads.projection_out)
        self.temperature = temperature
        self.inversion = (options or EquivariantConfig()).inversion
        self.projection = projection_head(dim, heads, maps)

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return Eq. 1 on the projections of both views after `undo`."""
        projected = self.projection(torch.cat([view.h for view in views]))
        if self.inversion == "exact":
            projected = fix_radius(projected)
        pairs = zip(projected.chunk(2), views, strict=True)
        z_a, z_b = (undo(z, view, self.inversion) for z, view in pairs)
        return Losses(nt_xent(z_a, z_b, temperature=self.temperature))


def check_equivariant(composition: Sequence[str], projection_out: int) -> None:
    """Check the requirements of the objective.

    Raises:
        InputError: Neither rotate nor translate is enabled, or `projection_out` is odd.
    """
    if not set(composition) & set(INVERTIBLE):
        raise InputError(
            f"objective 'equivariant' needs at least one of {', '.join(INVERTIBLE)} in the "
            f"composition; it is '{composition_name(composition)}', which leaves nothing to undo"
        )
    if projection_out % 2:
        raise InputError(
            "objective 'equivariant' needs an even heads.projection_out, two coordinates for each "
            f"point, got {projection_out}"
        )


def _published(points: torch.Tensor, view: Encoded) -> torch.Tensor:
    """Move points (B, P, 2) by t times their extent, then rotate them by -angle about their mean.

    A view shows content moved by -t, so t is added.
    """
    if "translate" in view.theta:
        extent = (points.amax(1) - points.amin(1)).detach()
        points = points + (extent * view.parameters("translate").to(points.dtype))[:, None]
    if "rotate" not in view.theta:
        return points
    angle_rad = view.parameters("rotate")[:, 0].to(points.dtype)
    centre = points.mean(1, keepdim=True).detach()
    cos, sin = torch.cos(angle_rad)[:, None], torch.sin(angle_rad)[:, None]
    x, y = (points - centre).unbind(-1)
    return torch.stack((cos * x + sin * y, cos * y - sin * x), dim=-1) + centre
