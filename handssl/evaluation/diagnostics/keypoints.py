"""Measure whether predicted keypoints move with the image, the example of Sec. 1 of the paper."""

from __future__ import annotations

import torch

from handssl.transforms import move_points

BOX_PX = 128


def keypoint_measures(
    plain: torch.Tensor, transformed: torch.Tensor, matrix: torch.Tensor
) -> dict[str, float]:
    """Compare keypoints of a transformed image with the transformed keypoints of the original.

    Args:
        plain: (N, J, 2), predicted on the untransformed images, box sides from the box centre.
        transformed: (N, J, 2), predicted on the views, box sides from the view's centre.
        matrix: (N, 2, 3), view to stored crop, from `view_matrix`.

    Returns:
        keypoint_gap_px, 0 for equivariant predictions, and keypoint_unmoved_px, the gap of
        predictions that do not move: both mean distances in pixels of a 128 px box.

    Reference:
        Sec. 1: keypoints on a rotated hand should be the rotated keypoints of the other.
    """
    moved = move_points(plain.double(), matrix.double())
    return {
        "keypoint_gap_px": mean_distance_px(transformed, moved),
        "keypoint_unmoved_px": mean_distance_px(plain, moved),
    }


def mean_distance_px(
    points: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor | None = None
) -> float:
    """Return the mean distance of the valid keypoints in pixels of a 128 px box.

    Args:
        points: (N, J, 2), box sides.
        truth: (N, J, 2), box sides.
        valid: bool (N, J), whether each keypoint counts; default: all.

    Example:
        >>> mean_distance_px(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 0.5]]]))
        64.0
    """
    distance = (points.double() - truth.double()).norm(dim=-1)
    return BOX_PX * float((distance if valid is None else distance[valid]).mean())
