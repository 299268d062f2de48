"""Eq. 2, 3 and 4."""

import math

import pytest
import torch

from handssl.errors import InputError
from handssl.objectives import LearnedWeights, RelativeLoss, relative_target
from handssl.objectives.targets import published_target, wrap
from handssl.transforms import AugmentConfig, regressed_intervals
from tests.reference import objectives as naive

PERIODS = {
    "rotate": [2 * math.pi],
    "translate": [None, None],
    "color_jitter": [1.0, None, None, None],
}


def thetas(name, count=9, seed=0):
    """Parameters of both views, spread over the default ranges."""
    intervals = regressed_intervals(name)
    low = torch.tensor([i.low for i in intervals], dtype=torch.float64)
    width = torch.tensor([i.width for i in intervals], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(2, count, len(intervals), dtype=torch.float64, generator=generator)
    return low + width * draws


@pytest.mark.parametrize("name", sorted(PERIODS))
def test_targets_of_views_within_their_ranges_lie_within_one(name):
    a, b = thetas(name, count=200)
    assert relative_target(name, a, b).abs().max() <= 1.0


@pytest.mark.parametrize("name", sorted(PERIODS))
def test_swapping_the_views_negates_the_target(name):
    a, b = thetas(name)
    assert torch.equal(relative_target(name, a, b), -relative_target(name, b, a))


@pytest.mark.parametrize("name", ["rotate", "translate"])
def test_the_target_changes_with_the_parameters_as_eq_4_says(name):
    a, b = thetas(name)
    delta = 0.01
    width = torch.tensor([i.width for i in regressed_intervals(name)], dtype=torch.float64)
    moved = relative_target(name, a, b + delta)
    assert torch.allclose(moved, relative_target(name, a, b) + delta / width)


def test_a_rotation_across_half_a_turn_takes_the_short_way():
    a, b = torch.tensor([[math.radians(170)]]), torch.tensor([[math.radians(-170)]])
    width = math.pi / 2
    expected = math.radians(20) / width
    assert float(relative_target("rotate", a, b)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_whole_parameters_have_the_targets_of_the_equal_floats(dtype):
    """An eighth of a turn is half the range of +-45 degrees, whatever the type of the zero."""
    zero, eighth = torch.zeros(1, 1, dtype=dtype), torch.tensor([[math.pi / 4]])
    assert float(relative_target("rotate", zero, eighth)) == pytest.approx(0.5)
    assert float(relative_target("rotate", eighth, zero)) == pytest.approx(-0.5)
    one = torch.ones(1, 1, dtype=dtype)
    for name in ("rotate", "scale"):
        for target in (relative_target, published_target):
            floats = target(name, one.double(), zero.double())
            assert float(target(name, one, zero)) == pytest.approx(float(floats), rel=1e-6)


def test_wrapping_whole_differences_is_that_of_the_equal_floats():
    three, period = torch.tensor([3, -3]), torch.tensor([4, 4])
    assert wrap(three, period).tolist() == [-1.0, 1.0]


def test_hue_wraps_at_half_a_turn_and_the_other_colour_parameters_do_not():
    a, b = torch.zeros(1, 4), torch.tensor([[0.9, 0.9, 0.9, 0.9]])
    widths = torch.tensor([i.width for i in regressed_intervals("color_jitter")])
    assert torch.allclose(
        relative_target("color_jitter", a, b) * widths, torch.tensor([[-0.1, 0.9, 0.9, 0.9]])
    )


def test_ranges_of_the_configuration_set_the_unit():
    config = AugmentConfig.parse({"rotate": {"angle_rad": {"low": -1.0, "high": 1.0}}})
    a, b = torch.tensor([[-1.0]]), torch.tensor([[1.0]])
    ranges = regressed_intervals("rotate", config)
    assert float(relative_target("rotate", a, b, ranges=ranges)) == 1.0


def test_a_transformation_without_parameters_is_refused_by_name():
    with pytest.raises(InputError, match="'sobel' has no parameters"):
        relative_target("sobel", torch.zeros(1, 1), torch.zeros(1, 1))


def test_theta_of_a_wrong_width_is_refused():
    with pytest.raises(InputError, match=r"expected theta of shape \(B, 2\)"):
        relative_target("translate", torch.zeros(3, 1), torch.zeros(3, 1))


@pytest.mark.parametrize("name", sorted(PERIODS))
def test_the_loss_equals_the_naive_loop_over_both_orders(name):
    a, b = thetas(name)
    intervals = regressed_intervals(name)
    module = RelativeLoss(dim=6, hidden=12, ranges={name: intervals}).double().eval()
    h = torch.randn(2, len(a), 6, dtype=torch.float64)
    loss = module(h[0], h[1], {name: a}, {name: b})[name]
    head = module.heads[name]
    widths = [i.width for i in intervals]
    with torch.no_grad():
        ab, ba = head(h[0], h[1]).tolist(), head(h[1], h[0]).tolist()
    expected = naive.relative_loss(a.tolist(), b.tolist(), ab, ba, widths, PERIODS[name])
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-12)


def test_learned_weights_equal_eq_3_and_start_at_the_plain_sum():
    weights = LearnedWeights(["rotate", "translate"]).double()
    losses = {"rotate": torch.tensor(0.3).double(), "translate": torch.tensor(0.7).double()}
    assert float(weights(losses).detach()) == pytest.approx(1.0)
    with torch.no_grad():
        weights.log_sigma["rotate"].fill_(-1.2)
        weights.log_sigma["translate"].fill_(0.4)
    expected = naive.weighted_sum(
        {"rotate": 0.3, "translate": 0.7}, {"rotate": -1.2, "translate": 0.4}
    )
    assert float(weights(losses).detach()) == pytest.approx(expected, abs=1e-6)


def test_the_best_sigma_of_a_constant_loss_is_that_loss():
    weights = LearnedWeights(["rotate"])
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        weights({"rotate": torch.tensor(0.25)}).backward()
        optimizer.step()
    assert float(weights.sigmas()["rotate"]) == pytest.approx(0.25, abs=0.005)


def test_log_sigma_is_not_below_its_bound_after_a_projection():
    weights = LearnedWeights(["rotate"])
    with torch.no_grad():
        weights.log_sigma["rotate"].fill_(-50.0)
    weights.project()
    assert float(weights({"rotate": torch.tensor(0.0)}).detach()) == -5.0
    assert float(weights.sigmas()["rotate"]) == pytest.approx(math.exp(-5.0))
