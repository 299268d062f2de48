"""Ranges and names that are refused, and how."""

import pytest
import torch

from handssl.errors import InputError
from handssl.study.study import Cell
from handssl.training.config import PretrainConfig
from handssl.transforms import AugmentConfig, composition_name, draw_theta, make_views
from handssl.transforms.names import FLIPS


def test_a_reversed_range_is_refused_with_its_path():
    with pytest.raises(InputError, match=r"rotate\.angle_rad: low must be less than high"):
        AugmentConfig.parse({"rotate": {"angle_rad": {"low": 1.0, "high": -1.0}}})


@pytest.mark.parametrize(
    ("name", "field", "high"),
    [
        ("translate", "x_boxes", 0.6),
        ("rotate", "angle_rad", 4.0),
        ("color_jitter", "hue_turns", 0.7),
        ("cutout", "side_views", 1.5),
        ("blur", "sigma_views", 0.5),
        ("noise", "sigma", 2.0),
    ],
)
def test_a_range_beyond_its_documented_limits_is_refused(name, field, high):
    with pytest.raises(InputError, match=f"{name}: {field} must lie within"):
        AugmentConfig.parse({name: {field: {"low": 0.0, "high": high}}})


def test_a_flip_is_no_transformation_because_hands_are_chiral():
    with pytest.raises(InputError, match="flip: unknown key"):
        AugmentConfig.parse({"flip": {}})


ASKED = {
    "a pretraining": lambda names: PretrainConfig.parse({"composition": names}),
    "a cell": lambda names: Cell.parse({"composition": "+".join(names)}),
    "views": lambda names: make_views(AugmentConfig(), names, seed=1, view_px=8, context=1.75),
    "draws": lambda names: draw_theta(
        AugmentConfig(), names, torch.arange(2), seed=1, epoch=1, view=0
    ),
}


@pytest.mark.parametrize("name", FLIPS)
@pytest.mark.parametrize("who", sorted(ASKED))
def test_a_composition_that_names_a_flip_is_reported_that_hands_are_chiral(who, name):
    with pytest.raises(InputError, match=f"{name} is no .* chiral: .* right hand is a left hand"):
        ASKED[who](("rotate", name))


def test_a_composition_is_written_in_one_order_however_it_is_named():
    assert composition_name(["translate", "rotate"]) == composition_name(["rotate", "translate"])
