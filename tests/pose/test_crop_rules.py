"""Boxes that images are cropped to."""

from __future__ import annotations

import numpy as np
import pytest

from handssl.errors import InputError
from handssl.pose import crop_box


def _joints(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, (30.0, 12.0), (21, 2))


@pytest.mark.parametrize("seed", range(5))
def test_the_published_box_holds_every_joint_when_the_image_turns_about_its_centre(seed):
    joints = _joints(seed)
    centre, side = crop_box(joints)
    for angle in np.linspace(0.0, 2.0 * np.pi, 73):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert (np.abs((joints - centre) @ turn.T) <= side / 2 / 1.25 + 1e-9).all()


def test_the_published_box_is_that_of_a_hand_computed_with_ruler_and_compass():
    # A right triangle: mean (3, 4), farthest corner (9, 0) at a distance of sqrt(52).
    centre, side = crop_box(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 12.0]]))
    assert centre.tolist() == [3.0, 4.0]
    assert side == pytest.approx(2.5 * np.hypot(3.0, 8.0))


def test_the_extent_box_is_the_larger_edge_of_the_bounding_box_with_a_margin():
    centre, side = crop_box(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 12.0]]), "extent")
    assert centre.tolist() == [4.5, 6.0] and side == 15.0


def test_the_box_moves_with_the_joints_and_grows_with_them():
    joints = _joints(7)
    for rule in ("published", "extent"):
        centre, side = crop_box(joints, rule)
        moved, grown = crop_box(3.0 * joints + 5.0, rule)
        np.testing.assert_allclose(moved, 3.0 * centre + 5.0)
        assert grown == pytest.approx(3.0 * side)


@pytest.mark.parametrize("rule", ["published", "extent"])
def test_the_box_of_whole_pixels_is_that_of_the_equal_floats(rule):
    joints = _joints(3).round()
    whole, floats = crop_box(joints.astype(np.int64), rule), crop_box(joints, rule)
    assert whole[0].tolist() == floats[0].tolist() and whole[1] == floats[1]


@pytest.mark.parametrize("joints", [np.zeros((0, 2)), np.zeros((21, 3)), np.zeros(2)])
def test_a_box_of_no_joints_or_of_another_shape_is_refused(joints):
    with pytest.raises(InputError, match="uv: expected shape"):
        crop_box(joints)
