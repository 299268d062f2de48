"""Ranges and names that are refused, and how."""

import pytest

from handssl.augment import AugmentConfig, composition_name
from handssl.errors import InputError


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


def test_a_composition_is_written_in_one_order_however_it_is_named():
    assert composition_name(["translate", "rotate"]) == composition_name(["rotate", "translate"])
