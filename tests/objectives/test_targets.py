"""What the published code predicts, in place of Eq. 2's normalised differences."""

import math

import pytest
import torch

from handssl.errors import InputError
from handssl.objectives import RelativeConfig, RelativeLoss
from handssl.objectives.targets import published_target
from handssl.transforms import regressed_intervals


@pytest.mark.parametrize(
    ("name", "a", "b", "expected"),
    [
        ("rotate", [math.radians(-20)], [math.radians(15)], [325.0]),
        ("rotate", [math.radians(15)], [math.radians(-20)], [35.0]),
        ("translate", [0.1, -0.1], [0.0, 0.05], [12.8, -19.2]),
        ("scale", [math.log(1.25 / 1.5)], [math.log(1.25 / 0.9)], [1.5 / 0.9]),
        ("color_jitter", [0.1, math.log(0.5), 0, 0.1], [0.3, 0, 0, 0], [-0.2, -0.5, 0, 25.5]),
    ],
)
def test_published_targets_are_those_of_the_published_code(name, a, b, expected):
    theta_a, theta_b = torch.tensor([a]), torch.tensor([b])
    assert published_target(name, theta_a, theta_b)[0].tolist() == pytest.approx(expected, abs=1e-4)


def test_published_targets_are_predicted_where_asked_for_and_have_one_order():
    ranges = {"rotate": regressed_intervals("rotate")}
    options = RelativeConfig(targets="published", order="one")
    loss = RelativeLoss(4, 8, ranges, options).double()
    h = torch.randn(2, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    theta = torch.linspace(-0.5, 0.5, 12, dtype=torch.float64).reshape(2, 6, 1)
    found = loss(h[0], h[1], {"rotate": theta[0]}, {"rotate": theta[1]})["rotate"]
    expected = published_target("rotate", theta[0], theta[1])
    assert float(found.detach()) == pytest.approx(
        float((loss.heads["rotate"](h[0], h[1]) - expected).abs().mean().detach())
    )
    with pytest.raises(InputError, match="order must be 'one'"):
        RelativeConfig.parse({"targets": "published"})


def test_published_targets_are_read_back_from_records():
    published = RelativeConfig(targets="published", order="one")
    assert RelativeConfig.parse(published.model_dump()) == published
