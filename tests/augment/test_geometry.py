"""One warp, its keypoints, its reach and what it gives away."""

import math

import numpy as np
import pytest
import torch

from handssl.augment import AugmentConfig, draw_theta, move_points, reach_boxes, view_matrix
from handssl.augment.geometry import outside_share, warp
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


def read_out_r2(views, theta, folds=2):
    """R2 on held-out views of a ridge from pixels to theta, the penalty chosen in its favour."""
    half = len(views) // folds
    x, y = views.flatten(1).double(), theta.double()
    x = x - x[:half].mean(0)
    kernel = x @ x[:half].T
    best = -math.inf
    for exponent in (-4, -2, 0, 2):
        ridge = 10.0**exponent * kernel[:half].diagonal().mean() * torch.eye(half).double()
        weights = torch.linalg.solve(kernel[:half] + ridge, y[:half] - y[:half].mean(0))
        predicted = kernel[half:] @ weights + y[:half].mean(0)
        residual = ((predicted - y[half:]) ** 2).sum(0)
        total = ((y[half:] - y[half:].mean(0)) ** 2).sum(0)
        best = max(best, float((1 - residual / total).max()))
    return best


@pytest.mark.parametrize("name", ["rotate", "translate"])
@pytest.mark.parametrize("content", ["constant", "random"])
def test_one_view_does_not_give_its_theta_away(name, content):
    config, count, side_px = AugmentConfig(), 800, 56
    ids = torch.arange(count)
    theta = draw_theta(config, [name], ids, seed=3, epoch=1, view=0)
    generator = torch.Generator().manual_seed(0)
    size = (count, 3, side_px, side_px) if content == "random" else (count, 3, 1, 1)
    crops = torch.rand(size, generator=generator).expand(count, 3, side_px, side_px)
    matrix = view_matrix(theta, crops)
    views = warp(crops, matrix, view_px=32, context=1.75, border=config.border)
    assert read_out_r2(views, theta[name][:, 1:]) < 0.05


def test_the_leak_test_can_fail_a_border_that_tells_the_angle():
    config, count = AugmentConfig(), 800
    theta = draw_theta(config, ["translate"], torch.arange(count), seed=3, epoch=1, view=0)
    crops = torch.ones(count, 3, 32, 32)
    matrix = view_matrix(theta, crops)
    views = warp(crops, matrix, view_px=32, context=1.0, border="black")
    assert read_out_r2(views, theta["translate"][:, 1:]) > 0.5
