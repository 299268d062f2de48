"""Undoing geometry on projected points."""

import numpy as np
import pytest
import torch

from handssl.data.procedural import ProceduralSpec
from handssl.data.procedural.dataset import make_hand
from handssl.errors import InputError
from handssl.models import HeadConfig
from handssl.objectives import Encoded, build_objective, nt_xent, undo
from handssl.objectives.equivariant import RADIUS_BOXES, fix_radius
from handssl.pose import crop_box
from handssl.transforms import AugmentConfig, draw_theta, move_points, view_matrix
from tests.reference import objectives as naive


def keypoints(rows, count=21):
    """Joints of hands in box sides from the box's centre, anywhere in the middle of the box."""
    return torch.rand(rows, count, 2, dtype=torch.float64) * 0.8 - 0.4


def view(rows, **theta):
    theta = {name: torch.cat((torch.ones(rows, 1), value), 1) for name, value in theta.items()}
    theta = {name: value.double() for name, value in theta.items()}
    like = torch.zeros(rows, dtype=torch.float64)
    return Encoded(like[:, None], theta, view_matrix(theta, like))


GEOMETRY = {
    "rotate": ("rotate",),
    "translate": ("translate",),
    "scale": ("scale",),
    "rotate+translate": ("rotate", "translate"),
    "scale+translate": ("scale", "translate"),
    "rotate+scale": ("rotate", "scale"),
    "rotate+scale+translate": ("rotate", "scale", "translate"),
}


@pytest.mark.parametrize("names", GEOMETRY.values(), ids=GEOMETRY)
def test_projections_that_move_exactly_as_keypoints_do_agree_after_inversion(names):
    points, ids = keypoints(64), torch.arange(64)
    undone = []
    for number in (0, 1):
        theta = draw_theta(AugmentConfig(), names, ids, seed=3, epoch=1, view=number)
        theta = {name: value.double() for name, value in theta.items()}
        matrix = view_matrix(theta, points[:, 0, 0])
        projection = move_points(points, matrix).flatten(1)
        undone.append(undo(projection, Encoded(points[:, 0], theta, matrix)))
    cosines = (undone[0] * undone[1]).sum(1)
    assert torch.allclose(cosines, torch.ones_like(cosines), atol=1e-12)
    source = torch.nn.functional.normalize(points.flatten(1), dim=1)
    assert torch.allclose(undone[0], source, atol=1e-12)


def test_the_published_order_is_exact_for_a_pure_rotation_about_the_mean_alone():
    points = keypoints(16)
    points -= points.mean(1, keepdim=True)
    turned, both = (
        view(16, rotate=torch.rand(16, 1) - 0.5, **shift)
        for shift in ({}, {"translate": torch.full((16, 2), 0.15)})
    )
    source = torch.nn.functional.normalize(points.flatten(1), dim=1)
    published = [
        undo(move_points(points, moved.matrix).flatten(1), moved, "published")
        for moved in (turned, both)
    ]
    assert torch.allclose(published[0], source, atol=1e-12)
    assert (published[1] * source).sum(1).max() < 0.999


def test_the_radius_is_about_that_of_the_joints_of_hands_in_their_published_boxes():
    squares = []
    for index in range(40):
        hand = make_hand(ProceduralSpec(pretrain=40), "pretrain", index)
        uv = hand.xyz @ hand.camera.T
        centre, side_px = crop_box(uv[:, :2] / uv[:, 2:])
        squares.append((((uv[:, :2] / uv[:, 2:] - centre) / side_px) ** 2).sum(1))
    radius = float(np.sqrt(np.mean(squares)))
    assert radius == pytest.approx(0.19, abs=0.01)
    assert radius == pytest.approx(RADIUS_BOXES, rel=0.1)


def test_points_have_the_radius_of_joints_whatever_the_scale_of_the_projection():
    z = torch.randn(40, 8, dtype=torch.float64)
    radius = fix_radius(5.0 * z).reshape(-1, 2).norm(dim=1)
    assert float(radius.square().mean().sqrt()) == pytest.approx(RADIUS_BOXES, rel=1e-9)
    assert torch.allclose(fix_radius(5.0 * z), fix_radius(z), atol=1e-12)


def test_where_a_transformation_is_not_applied_nothing_is_undone():
    z = torch.randn(4, 6, dtype=torch.float64)
    still = view(4, rotate=torch.zeros(4, 1), translate=torch.zeros(4, 2))
    assert torch.allclose(undo(z, still), torch.nn.functional.normalize(z, dim=1), atol=1e-15)


def test_the_length_of_a_projection_is_of_no_account_in_the_published_order():
    z = torch.randn(4, 6, dtype=torch.float64)
    moved = view(4, rotate=torch.rand(4, 1), translate=torch.rand(4, 2))
    published = [undo(factor * z, moved, "published") for factor in (1.0, 7.5)]
    assert torch.allclose(*published, atol=1e-14)


def test_mean_and_extent_of_the_points_carry_no_gradient_in_the_published_order():
    torch.manual_seed(0)
    z = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    angle, shift = torch.rand(2, 3, 1), torch.rand(2, 3, 2) * 0.3
    views = [view(3, rotate=angle[k], translate=shift[k]) for k in (0, 1)]
    undone = [undo(z[k], views[k], "published") for k in (0, 1)]
    nt_xent(*undone, temperature=0.5).backward()
    shifts = shift.tolist()
    frames = [
        [naive.point_frame(row, by) for row, by in zip(part, moves, strict=True)]
        for part, moves in zip(z.tolist(), shifts, strict=True)
    ]

    def loss(values):
        undone = [
            [
                naive.undo_published(row, float(a), [float(x) for x in t], frame)
                for row, a, t, frame in zip(*rows, strict=True)
            ]
            for rows in zip(values.tolist(), angle[..., 0], shift, frames, strict=True)
        ]
        return naive.nt_xent(*undone, 0.5)

    numeric, eps = torch.zeros_like(z), 1e-6
    for place in range(z.numel()):
        step = torch.zeros(z.numel(), dtype=torch.float64)
        step[place] = eps
        step = step.reshape(z.shape)
        change = loss(z.detach() + step) - loss(z.detach() - step)
        numeric.view(-1)[place] = change / (2 * eps)
    assert torch.allclose(z.grad, numeric, atol=1e-8)


def test_an_odd_number_of_coordinates_is_refused():
    with pytest.raises(InputError, match="even D"):
        undo(torch.zeros(2, 5), view(2, rotate=torch.zeros(2, 1)))


@pytest.mark.parametrize(
    ("composition", "out", "message"),
    [(("blur", "color_jitter"), 8, "nothing to undo"), (("rotate",), 7, "two coordinates")],
)
def test_what_the_objective_needs_is_said_when_it_is_missing(composition, out, message):
    with pytest.raises(InputError, match=message):
        build_objective(
            "equivariant",
            dim=4,
            heads=HeadConfig(projection_hidden=4, projection_out=out),
            augmentation=AugmentConfig(),
            composition=composition,
            temperature=0.5,
        )
