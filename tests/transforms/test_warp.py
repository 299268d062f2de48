"""One warp, its keypoints and its reach."""

import math

import numpy as np
import pytest
import torch

from handssl.transforms import AugmentConfig, draw_theta, move_points, reach_boxes, view_matrix
from handssl.transforms.warp import move_camera, outside_share, warp
from tests.reference import augment as naive

CASES = [((0.0, 0.0), 0.0), ((0.1, -0.05), 0.0), ((0.0, 0.0), 0.6), ((-0.12, 0.15), -0.7)]


def theta_of(offset, angle_rad):
    return {
        "translate": torch.tensor([[1.0, *offset]], dtype=torch.float64),
        "rotate": torch.tensor([[1.0, angle_rad]], dtype=torch.float64),
    }


@pytest.mark.parametrize(("offset", "angle_rad"), CASES)
def test_the_warp_equals_the_naive_resampling(offset, angle_rad):
    crop = torch.rand(1, 3, 28, 28, dtype=torch.float64)
    matrix = view_matrix(theta_of(offset, angle_rad), crop)
    view = warp(crop, matrix, view_px=16, context=1.75, border="black")
    expected = naive.warp(crop[0].numpy(), 16, 1.75, offset, angle_rad)
    np.testing.assert_allclose(view[0].numpy(), expected, atol=1e-9)


def test_the_identity_copies_pixels_when_sizes_agree():
    crop = torch.rand(1, 3, 28, 28)
    view = warp(crop, view_matrix({}, crop), view_px=16, context=1.75, border="reflect")
    assert torch.allclose(view, crop[:, :, 6:22, 6:22], atol=1e-5)


@pytest.mark.parametrize(("offset", "angle_rad"), CASES)
def test_keypoints_follow_the_image(offset, angle_rad):
    matrix = view_matrix(theta_of(offset, angle_rad), torch.zeros(1, dtype=torch.float64))
    points = torch.tensor([[[0.1, 0.2], [-0.3, 0.05]]], dtype=torch.float64)
    expected = [naive.moved_point(p, offset, angle_rad) for p in points[0].tolist()]
    np.testing.assert_allclose(move_points(points, matrix)[0].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("offset", "angle_rad"), CASES)
def test_a_bright_spot_is_found_where_its_keypoint_says(offset, angle_rad):
    side_px, view_px, context, point = 112, 64, 1.75, (0.12, -0.08)
    axis = (np.arange(side_px) + 0.5) / side_px * context - context / 2
    spot = np.exp(-((axis[None] - point[0]) ** 2 + (axis[:, None] - point[1]) ** 2) / 0.001)
    crop = torch.from_numpy(np.stack([spot] * 3))[None]
    matrix = view_matrix(theta_of(offset, angle_rad), crop)
    view = warp(crop, matrix, view_px=view_px, context=context, border="black")[0, 0]
    centres = (torch.arange(view_px).double() + 0.5) / view_px - 0.5
    found = [float((view.sum(axis) * centres).sum() / view.sum()) for axis in (0, 1)]
    expected = move_points(torch.tensor([[point]], dtype=torch.float64), matrix)[0, 0]
    assert np.abs(np.array(found) - expected.numpy()).max() * view_px < 0.05


def test_rotating_the_view_turns_x_towards_y():
    matrix = view_matrix(theta_of((0.0, 0.0), math.pi / 2), torch.zeros(1, dtype=torch.float64))
    moved = move_points(torch.tensor([[[0.2, 0.0]]], dtype=torch.float64), matrix)
    np.testing.assert_allclose(moved[0, 0].numpy(), [0.0, 0.2], atol=1e-12)


@pytest.mark.parametrize("composition", [(), ("rotate",), ("translate",), ("rotate", "translate")])
def test_no_view_leaves_a_crop_of_the_stated_reach(composition):
    config = AugmentConfig()
    context = reach_boxes(config, composition) + 1e-6
    ids = torch.arange(500)
    theta = draw_theta(config, composition, ids, seed=1, epoch=1, view=0)
    matrix = view_matrix(theta, torch.zeros(500))
    assert float(outside_share(matrix, context=context).max()) == 0.0


def test_the_outside_share_counts_what_a_too_small_crop_misses():
    matrix = view_matrix({"translate": torch.tensor([[1.0, 0.25, 0.0]])}, torch.zeros(1))
    assert float(outside_share(matrix, context=1.0)) == pytest.approx(0.25, abs=0.02)


def test_whole_numbers_are_parameters_points_and_cameras_too():
    ones = torch.tensor([[1, 1]], dtype=torch.uint8)
    theta = {"rotate": ones, "scale": ones, "translate": torch.tensor([[1, 0, 1]])}
    matrix = view_matrix(theta, torch.zeros(1))
    floats = {name: drawn.float() for name, drawn in theta.items()}
    assert torch.equal(matrix, view_matrix(floats, torch.zeros(1)))
    points, camera = torch.tensor([[[1, 2]]]), torch.eye(3, dtype=torch.int64)[None]
    assert torch.equal(move_points(points, matrix), move_points(points.float(), matrix))
    still = torch.tensor([[[1, 0, 0], [0, 1, 0]]])
    given = {"view_px": 8, "crop_px": 8, "context": 1.0}
    assert torch.allclose(move_camera(camera, still, **given), torch.eye(3)[None], atol=1e-6)
    assert float(outside_share(still, context=1.0)) == 0.0
