"""How often a view cuts off a joint, for boxes of both rules."""

import math

import numpy as np
import pytest
import torch

from handssl.pose import crop_box
from handssl.transforms import AugmentConfig
from handssl.transforms.joints_outside import joints_outside


def hands(rule: str, count: int = 400) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random hands, longer than wide in any direction, in sides of their box."""
    rng = np.random.default_rng(1)
    boxes = []
    for _ in range(count):
        angle = rng.uniform(0.0, math.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        joints = rng.normal(0.0, (30.0, 9.0), (21, 2)) @ turn.T
        centre, side = crop_box(joints, rule)
        boxes.append((joints - centre) / side)
    points = torch.from_numpy(np.stack(boxes))
    return points, torch.ones(count, 21, dtype=torch.bool), torch.arange(count)


def test_no_rotation_takes_a_joint_out_of_the_published_box():
    """Joints are within 0.4 box sides of the centre that the view turns about, and it shows 0.5."""
    turns = AugmentConfig.parse({"rotate": {"angle_rad": {"low": -math.pi, "high": math.pi}}})
    assert joints_outside(*hands("published"), config=turns, composition=["rotate"]) == {
        "rotate": 0.0
    }
    assert joints_outside(*hands("extent"), config=turns)["rotate"] > 0.05


def test_the_share_is_that_of_hands_and_counts_labelled_joints_alone():
    points, valid, ids = hands("published")
    points[:, 3], points[: len(ids) // 4, 5] = 0.6, 0.6
    config = AugmentConfig()
    assert joints_outside(points, valid, ids, config=config)["rotate"] == 1.0
    valid[:, 3] = False
    assert joints_outside(points, valid, ids, config=config)["rotate"] == 0.25


@pytest.mark.parametrize("composition", [["blur"], []])
def test_a_composition_without_motion_has_no_share(composition):
    assert joints_outside(*hands("extent"), config=AugmentConfig(), composition=composition) == {}


def test_motions_together_are_a_row_of_their_own():
    found = joints_outside(*hands("extent"), config=AugmentConfig())
    assert list(found) == ["translate", "rotate", "scale", "together"]
    assert found["together"] >= max(found["translate"], found["rotate"]) - 0.05
