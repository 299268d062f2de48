"""Undoing geometry on projected points."""

import math

import pytest
import torch

from handssl.errors import InputError
from handssl.models import HeadConfig
from handssl.objectives import Encoded, build_objective, nt_xent, undo
from handssl.transforms import AugmentConfig, move_points, view_matrix
from tests.reference import objectives as naive


def points_of_extent_one(rows, count=8):
    """Points whose mean is 0 and whose extent is 1 along x and y."""
    points = torch.randn(rows, count, 2, dtype=torch.float64)
    points = points / (points.amax(1) - points.amin(1))[:, None]
    return points - points.mean(1, keepdim=True)


def view(rows, **theta):
    theta = {name: torch.cat((torch.ones(rows, 1), value), 1) for name, value in theta.items()}
    theta = {name: value.double() for name, value in theta.items()}
    like = torch.zeros(rows, dtype=torch.float64)
    return Encoded(like[:, None], theta, view_matrix(theta, like))


@pytest.mark.parametrize("name", ["rotate", "translate"])
def test_points_that_moved_with_the_image_come_back_to_where_they_were(name):
    theta = torch.randn(5, {"rotate": 1, "translate": 2}[name]) * 0.3
    points, moved = points_of_extent_one(5), view(5, **{name: theta})
    seen = move_points(points, moved.matrix).flatten(1)
    came_back = undo(seen, moved)
    expected = torch.nn.functional.normalize(points.flatten(1), dim=1)
    assert torch.allclose(came_back, expected, atol=1e-12)


def test_points_of_an_enlarged_and_moved_view_come_back_to_where_they_were():
    scale, shift = torch.full((4, 1), 0.2), torch.randn(4, 2) * 0.1
    points, moved = points_of_extent_one(4), view(4, scale=scale, translate=shift)
    came_back = undo(move_points(points, moved.matrix).flatten(1), moved)
    expected = torch.nn.functional.normalize(points.flatten(1), dim=1)
    assert torch.allclose(came_back, expected, atol=1e-12)


def test_a_turn_and_a_shift_both_come_back_where_the_turn_leaves_the_extent():
    angle = torch.full((3, 1), math.pi / 2)
    shift = torch.tensor([[0.1, -0.05], [0.0, 0.15], [-0.1, 0.0]])
    points, moved = points_of_extent_one(3), view(3, rotate=angle, translate=shift)
    # Turned about the mean of the points, not the centre of the view: their shift stays upright.
    seen = (points - shift.double()[:, None]).mean(1, keepdim=True) + move_points(
        points, view(3, rotate=angle).matrix
    )
    expected = torch.nn.functional.normalize(points.flatten(1), dim=1)
    assert torch.allclose(undo(seen.flatten(1), moved), expected, atol=1e-7)


def test_where_a_transformation_is_not_applied_nothing_is_undone():
    z = torch.randn(4, 6, dtype=torch.float64)
    still = view(4, rotate=torch.zeros(4, 1), translate=torch.zeros(4, 2))
    assert torch.allclose(undo(z, still), torch.nn.functional.normalize(z, dim=1), atol=1e-15)


def test_the_length_of_a_projection_is_of_no_account():
    z = torch.randn(4, 6, dtype=torch.float64)
    moved = view(4, rotate=torch.rand(4, 1), translate=torch.rand(4, 2))
    assert torch.allclose(undo(z, moved), undo(7.5 * z, moved), atol=1e-14)


def test_mean_and_extent_of_the_points_carry_no_gradient():
    torch.manual_seed(0)
    z = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    angle, shift = torch.rand(2, 3, 1), torch.rand(2, 3, 2) * 0.3
    views = [view(3, rotate=angle[k], translate=shift[k]) for k in (0, 1)]
    nt_xent(undo(z[0], views[0]), undo(z[1], views[1]), temperature=0.5).backward()
    frames = [[naive.point_frame(row) for row in part] for part in z.tolist()]

    def loss(values):
        undone = [
            [
                naive.undo(row, float(a), [float(x) for x in t], frame)
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
