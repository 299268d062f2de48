"""Scale in the one affine warp, and what follows a view: keypoints, validity, camera."""

import math

import numpy as np
import pytest
import torch

from handssl.transforms import (
    PAPER_SEVEN,
    REGRESSABLE,
    TRANSFORMATIONS,
    AugmentConfig,
    draw_theta,
    move_camera,
    move_points,
    outside_share,
    reach_boxes,
    view_matrix,
    visible,
)
from tests.reference.augment import moved_point

THETA = {
    "rotate": torch.tensor([[1.0, 0.4]], dtype=torch.float64),
    "scale": torch.tensor([[1.0, 0.25]], dtype=torch.float64),
    "translate": torch.tensor([[1.0, 0.1, -0.05]], dtype=torch.float64),
}
LIKE = torch.zeros(1, dtype=torch.float64)
POINTS = torch.tensor([[[0.1, 0.2], [-0.3, 0.05], [0.49, 0.49]]], dtype=torch.float64)


def test_the_papers_seven_are_all_but_the_two_added_later():
    assert set(TRANSFORMATIONS) - set(PAPER_SEVEN) == {"color_drop", "scale"}
    assert sorted(TRANSFORMATIONS) == list(TRANSFORMATIONS)


def test_keypoints_move_away_from_the_centre_by_the_factor():
    found = move_points(POINTS, view_matrix(THETA, LIKE))[0].numpy()
    expected = math.exp(0.25) * np.array([moved_point(p, (0.1, -0.05), 0.4) for p in POINTS[0]])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_keypoints_that_leave_the_view_are_not_visible():
    shown = visible(POINTS, view_matrix(THETA, LIKE), torch.tensor([[True, False, True]]))
    assert shown.tolist() == [[True, False, False]]


def test_the_moved_camera_projects_to_where_the_keypoints_moved():
    camera = torch.tensor([[[90.0, 0.0, 55.0], [0.0, 90.0, 57.0], [0.0, 0.0, 1.0]]]).double()
    matrix = view_matrix(THETA, LIKE)
    moved = move_camera(camera, matrix, view_px=64, crop_px=112, context=1.75)
    xyz = torch.tensor([0.02, -0.03, 0.6]).double()
    pixel, seen = ((k[0] @ xyz)[:2] / (k[0] @ xyz)[2] for k in (camera, moved))
    boxes = (pixel - (112 - 1) / 2) * 1.75 / 112
    expected = move_points(boxes[None, None], matrix)[0, 0] * 64 + (64 - 1) / 2
    np.testing.assert_allclose(seen.numpy(), expected.numpy(), atol=1e-9)


@pytest.mark.parametrize("others", [(), ("rotate",), ("rotate", "translate")])
def test_no_scaled_view_leaves_a_crop_of_the_stated_reach(others):
    config, composition = AugmentConfig(), ("scale", *others)
    theta = draw_theta(config, composition, torch.arange(500), seed=1, epoch=1, view=0)
    share = outside_share(
        view_matrix(theta, torch.zeros(500)), context=reach_boxes(config, composition) + 1e-6
    )
    assert float(share.max()) == 0.0


@pytest.mark.parametrize("name", sorted(REGRESSABLE))
def test_the_first_view_and_the_difference_add_up_to_the_second(name):
    ids = torch.arange(50)
    a, b = (
        draw_theta(AugmentConfig(), [name], ids, seed=1, epoch=1, view=view)[name]
        for view in (0, 1)
    )
    assert torch.allclose(a + (b - a), b, atol=1e-6)


@pytest.mark.parametrize("name", ["rotate", "scale"])
def test_the_difference_applied_after_the_first_view_gives_the_second(name):
    first, second = (torch.tensor([[1.0, value]], dtype=torch.float64) for value in (0.1, -0.15))
    one, step, two = (view_matrix({name: theta}, LIKE) for theta in (first, second - first, second))
    moved = move_points(move_points(POINTS, one), step)
    np.testing.assert_allclose(moved.numpy(), move_points(POINTS, two).numpy(), atol=1e-12)
