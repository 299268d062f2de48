"""Geometric warp: translation, scale and rotation as one affine map.

Coordinates are in box sides with the origin at the box centre, x right and y down. A point p of
the stored crop appears in the view at q = f R(angle) (p - t), so the view's q shows p = t +
R(-angle) q / f. The same matrix transforms keypoints and cameras.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  the customary name

from handssl.transforms.config import AugmentConfig, Border
from handssl.transforms.device_constants import as_floating
from handssl.transforms.sampling import Theta

_PADDING = {"reflect": "reflection", "disc": "reflection", "black": "zeros"}


def view_matrix(theta: Theta, like: torch.Tensor) -> torch.Tensor:
    """Return the map from view to stored crop, both in box sides.

    Args:
        theta: From `draw_theta`; without `translate`, `scale` and `rotate` the map is the identity.
        like: float (B, ...), determines batch size, dtype and device.

    Returns:
        (B, 2, 3): p = matrix @ (q, 1).
    """
    theta = {name: as_floating(drawn)[0] for name, drawn in theta.items()}
    angle = theta["rotate"][:, 1] if "rotate" in theta else like.new_zeros(len(like))
    offset = theta["translate"][:, 1:] if "translate" in theta else like.new_zeros(len(like), 2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack((torch.stack((cos, sin), -1), torch.stack((-sin, cos), -1)), -2)
    if "scale" in theta:
        turn = turn * torch.exp(-theta["scale"][:, 1])[:, None, None]
    return torch.cat((turn, offset[..., None]), dim=-1)


def warp(
    crops: torch.Tensor, matrix: torch.Tensor, *, view_px: int, context: float, border: Border
) -> torch.Tensor:
    """Resample a view from each stored crop, bilinearly.

    Args:
        crops: float (B, 3, S, S), each showing `context` box sides.
        matrix: (B, 2, 3) from `view_matrix`.
        view_px: Side of the view in pixels; it shows one box side.
        context: Side of the stored crop in box sides.
        border: Content outside the stored crop.

    Returns:
        float (B, 3, view_px, view_px).
    """
    # grid_sample counts half sides from the centre: q = grid / 2 and p = context * source / 2.
    half_sides = torch.cat((matrix[..., :2], 2.0 * matrix[..., 2:]), dim=-1) / context
    size = [len(crops), crops.shape[1], view_px, view_px]
    grid = F.affine_grid(half_sides, size, align_corners=False)
    views = F.grid_sample(
        crops, grid, mode="bilinear", padding_mode=_PADDING[border], align_corners=False
    )
    return mask_disc(views) if border == "disc" else views


def mask_disc(views: torch.Tensor) -> torch.Tensor:
    """Make everything outside the inscribed disc of views (B, 3, P, P) black."""
    return views * _disc(views.shape[-1], views)


def move_points(points: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Transform keypoints from the stored crop into the view.

    Args:
        points: (B, J, 2), box sides from the box centre.
        matrix: (B, 2, 3) from `view_matrix`.

    Returns:
        (B, J, 2), box sides from the view's centre.
    """
    points, matrix = as_floating(points, matrix)
    moved = (points - matrix[:, None, :, 2]) @ matrix[:, :, :2]
    # The inverse of R(-angle) / f is its transpose over its determinant.
    (a, b), (c, d) = (row.unbind(-1) for row in matrix[:, :, :2].unbind(1))
    area = a * d - b * c
    # A pure rotation has determinant one up to rounding, which must not move points.
    unscaled = (area - 1.0).abs() <= 4.0 * torch.finfo(area.dtype).eps
    return moved / torch.where(unscaled, torch.ones_like(area), area)[:, None, None]


def visible(
    points: torch.Tensor, matrix: torch.Tensor, valid: torch.Tensor | None = None
) -> torch.Tensor:
    """Return which keypoints lie inside a view.

    Args:
        points: (B, J, 2), in the stored crop, box sides from the box centre.
        matrix: (B, 2, 3) from `view_matrix`.
        valid: bool (B, J), whether each keypoint is labelled; default: all.

    Returns:
        bool (B, J).
    """
    inside = (move_points(points, matrix).abs() <= 0.5).all(-1)
    return inside if valid is None else inside & valid


def move_camera(
    camera: torch.Tensor, matrix: torch.Tensor, *, view_px: int, crop_px: int, context: float
) -> torch.Tensor:
    """Return the intrinsic matrix of the view's camera, including roll.

    Args:
        camera: (B, 3, 3), of the stored crop; the centre of pixel (0, 0) is the origin.
        matrix: (B, 2, 3) from `view_matrix`.
        view_px: Side of the view in pixels.
        crop_px: Side of the stored crop in pixels.
        context: Side of the stored crop in box sides.

    Returns:
        (B, 3, 3), K' = A K with A the map from crop pixels to view pixels. For a rotated view K'
        is not upper triangular: points keep the axes of the source camera.
    """
    camera, matrix = as_floating(camera, matrix)
    to_boxes = _pixels_to_boxes(crop_px, context / crop_px, camera)
    to_view = torch.linalg.inv(_pixels_to_boxes(view_px, 1.0 / view_px, camera))
    last = camera.new_tensor([0.0, 0.0, 1.0]).expand(len(matrix), 1, 3)
    back = torch.cat((matrix, last), dim=1)
    seen: torch.Tensor = to_view @ torch.linalg.inv(back) @ to_boxes @ camera
    return seen


def _pixels_to_boxes(side_px: int, pixel_boxes: float, like: torch.Tensor) -> torch.Tensor:
    """Return the map (3, 3) from pixel coordinates to box sides relative to the centre."""
    offset = -pixel_boxes * (side_px - 1) / 2
    return like.new_tensor(
        [[pixel_boxes, 0.0, offset], [0.0, pixel_boxes, offset], [0.0, 0.0, 1.0]]
    )


def outside_share(matrix: torch.Tensor, *, context: float) -> torch.Tensor:
    """Return the share of each view's area outside the stored crop, (B,) in [0, 1].

    Sampled on 32 x 32 points, accurate to about one percent of the area.
    """
    (matrix,) = as_floating(matrix)
    axis = (torch.arange(32, dtype=matrix.dtype, device=matrix.device) + 0.5) / 32 - 0.5
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)
    source = points @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]
    return (source.abs().amax(-1) > context / 2).to(matrix.dtype).mean(1)


def reach_boxes(
    config: AugmentConfig, composition: tuple[str, ...], *, view_px: int | None = None
) -> float:
    """Return the side of the stored crop, in box sides, that contains all views of a composition.

    With `resampling: double` a view reads pixels of the intermediate image up to one pixel beyond
    its own border, and these read the crop: this margin is included.

    Args:
        config: Ranges and resampling.
        composition: The enabled transformations.
        view_px: Side of a view in pixels, for the margin; None leaves it out.

    Example:
        >>> reach_boxes(AugmentConfig(), ())
        1.0
        >>> reach_boxes(AugmentConfig(resampling="double"), (), view_px=128)
        1.015625
    """
    angle = config.rotate.angle_rad if "rotate" in composition else None
    turn = 0.0 if angle is None else min(max(abs(angle.low), abs(angle.high)), torch.pi / 4)
    half = 0.5 * float(torch.cos(torch.tensor(turn)) + torch.sin(torch.tensor(turn)))
    half += 1.0 / view_px if view_px and config.resampling == "double" else 0.0
    moves = (config.translate.x_boxes, config.translate.y_boxes)
    shift = max(max(abs(move.low), abs(move.high)) for move in moves)
    if "scale" in composition:
        half *= max(math.exp(-config.scale.log_factor.low), 1.0)
    return 2.0 * (half + (shift if "translate" in composition else 0.0))


def _disc(view_px: int, like: torch.Tensor) -> torch.Tensor:
    axis = (torch.arange(view_px, dtype=like.dtype, device=like.device) + 0.5) / view_px - 0.5
    return (axis[:, None] ** 2 + axis[None, :] ** 2 <= 0.25).to(like.dtype)
