"""What two views leave unknown of a target, against values measured by other means."""

import math

import pytest
import torch

from handssl.objectives import RelativeConfig, RelativeLoss
from handssl.objectives.irreducible import irreducible_errors
from handssl.objectives.targets import regressed_ranges
from handssl.transforms import AugmentConfig


def errors(composition, targets="normalised", **ranges):
    config = AugmentConfig.parse(ranges)
    options = RelativeConfig(targets=targets)
    heads = RelativeLoss(1, 1, regressed_ranges(composition, config), options)
    return irreducible_errors(heads, config, composition)


def test_a_shift_in_source_axes_is_unknown_by_a_quarter_if_views_are_turned():
    found = errors(("rotate", "translate"))
    assert found["translate"] == pytest.approx((0.25, 0.25), abs=0.04)
    assert found["rotate"] == pytest.approx((0.0,), abs=1e-6)


def test_a_shift_of_views_turned_by_any_angle_is_unknown_by_its_direction():
    """Given its length alone, the best guess of a vector is 0: the whole error remains."""
    turned = {"angle_rad": {"low": -math.pi, "high": math.pi}}
    moved = {name: {"low": -0.01, "high": 0.01} for name in ("x_boxes", "y_boxes")}
    # Views of like angle (few of all) still tell something of the direction.
    found = errors(("rotate", "translate"), rotate=turned, translate=moved)
    assert min(found["translate"]) > 0.7


def test_an_offset_is_unknown_by_an_eighth_if_values_are_scaled():
    found = errors(("color_jitter",))["color_jitter"]
    assert found == pytest.approx((0.0, 0.0, 0.0, 0.13), abs=0.02)


@pytest.mark.parametrize("composition", [("translate",), ("scale",), ("rotate",)])
def test_alone_every_target_is_known(composition):
    (found,) = errors(composition).values()
    assert max(found) < 1e-6


@pytest.mark.parametrize(
    "composition", [("rotate", "translate"), ("rotate", "scale", "translate"), ("color_jitter",)]
)
def test_targets_between_views_are_known(composition):
    for found in errors(composition, "between_views").values():
        assert max(found) < 1e-5


def test_the_errors_are_those_of_a_regression_on_the_map_itself():
    """Nearest neighbours in the map of many simulated pairs, without any inversion of it."""
    generator = torch.Generator().manual_seed(1)
    low, width = torch.tensor([-0.4, -0.1]).double(), torch.tensor([0.8, 0.2]).double()
    a, b = (low + width * torch.rand(20_000, 2, generator=generator).double() for _ in range(2))
    gain = torch.exp(b[:, 0] - a[:, 0])
    image = torch.tensor([0.3, 0.6]).double()  # two levels of the source, as both views show them
    seen = [image * torch.exp(view[:, :1]) + view[:, 1:] for view in (a, b)]
    slope = (seen[1][:, 1] - seen[1][:, 0]) / (seen[0][:, 1] - seen[0][:, 0])
    intercept = seen[1][:, 0] - slope * seen[0][:, 0]
    assert torch.allclose(slope, gain)
    m = torch.stack((slope.log() / slope.log().std(), intercept / intercept.std()), dim=1)
    y = b[:, 1] - a[:, 1]
    near = torch.cdist(m[:500], m).topk(60, largest=False).indices
    error = float((y[:500] - y[near].mean(1)).abs().mean() / (y - y.median()).abs().mean())
    found = errors(("color_jitter",))["color_jitter"][3]
    assert found == pytest.approx(error, abs=0.02)
