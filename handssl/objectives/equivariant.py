"""Equivariant objective: contrastive loss after inverting geometry in the projection space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from handssl.data.sample import Split
from handssl.errors import InputError
from handssl.models import HeadConfig, mlp
from handssl.objectives.contrastive import nt_xent
from handssl.objectives.interface import Encoded, Losses, PoseTarget
from handssl.transforms import Draw, composition_name

# Transformations that can be inverted in the plane of the projected points.
INVERTIBLE = ("rotate", "translate")


def undo(z: torch.Tensor, view: Encoded) -> torch.Tensor:
    """Invert rotation and translation of a view on its projection, interpreted as 2D points.

    With points q_i of the L2-normalised z, their mean m and their extent e (largest minus smallest,
    along each axis): p_i = R(-angle) (q_i - m) + m + e t, then L2-normalised over all points. A
    view shows q = R(angle) (p - t), so t is added. m and e carry no gradient. A transformation that
    is not in the composition or not applied has angle 0 or t = 0. Scale needs no inversion: a view
    enlarged by f shows q = f R(angle) (p - t), e is enlarged as well, and the norm removes f.

    Args:
        z: (B, D), D even; coordinates alternate x, y.
        view: View with theta: rotate in radians, positive from x to y; translate in box sides, in
            the axes of the source image.

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
    points = F.normalize(z, dim=1).reshape(len(z), -1, 2)
    extent = (points.amax(1) - points.amin(1)).detach()
    if "rotate" in view.theta:
        points = _turn_back(points, view.parameters("rotate")[:, 0].to(z.dtype))
    if "translate" in view.theta:
        shift = view.parameters("translate").to(z.dtype)
        points = points + (extent * shift)[:, None]
    return F.normalize(points.flatten(1), dim=1)


class Equivariant(nn.Module):
    """Projection head, inverse geometry on its points, Eq. 1.

    Features become invariant to appearance and equivariant to geometric transformations, without
    a head that predicts them.

    Args:
        dim: Size of the features.
        heads: Sizes of the head; `projection_out` is even, two coordinates per point.
        composition: The enabled transformations, with at least one of rotate and translate.
        temperature: tau of Eq. 1.

    Raises:
        InputError: There is nothing to invert, or `projection_out` is odd.
    """

    draws: tuple[Draw, ...] = (0, 1)
    split: Split = "pretrain"

    def __init__(
        self, dim: int, heads: HeadConfig, composition: Sequence[str], temperature: float
    ) -> None:
        super().__init__()
        check_equivariant(composition, heads.projection_out)
        self.temperature = temperature
        self.projection = mlp(dim, heads.projection_hidden, heads.projection_out)

    def forward(self, views: list[Encoded], target: PoseTarget | None) -> Losses:
        """Return Eq. 1 on the projections of both views after `undo`."""
        projected = self.projection(torch.cat([view.h for view in views])).chunk(2)
        z_a, z_b = (undo(z, view) for z, view in zip(projected, views, strict=True))
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


def _turn_back(points: torch.Tensor, angle_rad: torch.Tensor) -> torch.Tensor:
    """Rotate points (B, P, 2) by -angle about their mean."""
    centre = points.mean(1, keepdim=True).detach()
    cos, sin = torch.cos(angle_rad)[:, None], torch.sin(angle_rad)[:, None]
    x, y = (points - centre).unbind(-1)
    return torch.stack((cos * x + sin * y, cos * y - sin * x), dim=-1) + centre
