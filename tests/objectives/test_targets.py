"""What the published code predicts, in place of Eq. 2's normalised differences."""

import math

import pytest
import torch

from handssl.errors import InputError
from handssl.objectives import Encoded, RelativeConfig, RelativeLoss, relative_target
from handssl.objectives.targets import between_views_target, published_target, regressed_ranges
from handssl.transforms import (
    AugmentConfig,
    appearance,
    draw_theta,
    move_points,
    quirks,
    regressed_intervals,
    view_matrix,
)


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


def pairs_of(composition, config=None, count=64):
    """Return both views' draws and maps for a composition."""
    config, ids = config or AugmentConfig(), torch.arange(count)
    thetas = [draw_theta(config, composition, ids, seed=1, epoch=1, view=v) for v in (0, 1)]
    return thetas, tuple(view_matrix(theta, torch.zeros(count)) for theta in thetas)


def between(name, thetas, maps):
    a, b = (theta[name][:, 1:] for theta in thetas)
    return between_views_target(name, a, b, maps=maps, ranges=regressed_intervals(name))


@pytest.mark.parametrize("composition", [("translate",), ("rotate", "scale", "translate")])
def test_the_shift_between_views_is_where_keypoints_say_the_other_centre_lies(composition):
    """Seven joints as both views show them give the map between them by least squares."""
    thetas, maps = pairs_of(composition)
    joints = torch.rand(64, 7, 2, generator=torch.Generator().manual_seed(2)) - 0.5
    seen = [move_points(joints, matrix).double() for matrix in maps]
    for order in (1, -1):
        first, second = seen[::order]
        columns = torch.cat((first, torch.ones(64, 7, 1).double()), dim=2)
        centre = torch.linalg.lstsq(columns, second).solution[:, 2]
        target = between("translate", thetas[::order], maps[::order])
        assert torch.allclose(target.double(), -centre / 0.3, atol=1e-4)


def test_the_shift_between_upright_views_is_the_difference_of_their_parameters():
    thetas, maps = pairs_of(("translate",))
    expected = relative_target("translate", *(theta["translate"][:, 1:] for theta in thetas))
    assert torch.allclose(between("translate", thetas, maps), expected, atol=1e-6)


def test_the_offset_between_views_is_that_of_their_pixels():
    """Values of one image in two views lie on a line; its gain and intercept are the targets."""
    thetas, maps = pairs_of(("color_jitter",))
    image = 0.3 + 0.3 * torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    images = image.double().expand(64, -1, -1, -1)
    values = [
        appearance.color_jitter(images, theta["color_jitter"][:, 1:].double()).amax(1).flatten(1)
        for theta in thetas
    ]
    for order in (1, -1):
        first, second = values[::order]
        columns = torch.stack((first, torch.ones_like(first)), dim=2)
        gain, offset = torch.linalg.lstsq(columns, second[..., None]).solution[..., 0].unbind(1)
        target = between("color_jitter", thetas[::order], maps).double()
        assert torch.allclose(target[:, 2], gain.log() / 0.8, atol=1e-5)
        assert torch.allclose(target[:, 3], offset / 0.2, atol=1e-5)


def test_the_loss_gives_the_swapped_pair_its_own_target():
    """A head that always answers 0: its loss is the mean of the targets of both orders."""
    thetas, maps = pairs_of(("rotate", "translate"))
    ranges = {"translate": regressed_intervals("translate")}
    loss = RelativeLoss(4, 8, ranges, RelativeConfig(targets="between_views"))
    loss.heads["translate"] = Silent()
    h = torch.zeros(64, 4)
    views = [Encoded(h, theta, matrix) for theta, matrix in zip(thetas, maps, strict=True)]
    both = [between("translate", thetas[::order], maps[::order]) for order in (1, -1)]
    expected = float(torch.cat(both).abs().mean())
    assert float(loss.of_pair(*views)["translate"]) == pytest.approx(expected, abs=1e-6)
    assert expected != pytest.approx(float(both[0].abs().mean()), abs=1e-3)
    with pytest.raises(InputError, match="need the matrices of both views"):
        loss(h, h, {"translate": h[:, :2]}, {"translate": h[:, :2]})


class Silent(torch.nn.Module):
    def forward(self, h_a, h_b):
        return torch.zeros(len(h_a), 2)


def test_a_multiplied_hue_is_not_circular():
    """Hues of the rendered views give the factors; a difference beyond half the range counts."""
    config = AugmentConfig.preset("paper_code")
    thetas, _ = pairs_of(("color_jitter",), config, count=256)
    reddish = torch.tensor([1.0, 0.1, 0.64])[None, :, None, None].expand(256, 3, 2, 2).double()
    drawn = [theta["color_jitter"][:, 1:].double() for theta in thetas]
    plain = [torch.cat((t[:, :1], torch.zeros_like(t[:, 1:])), dim=1) for t in drawn]
    hues = [appearance.rgb_to_hsv(quirks.color_jitter(reddish, t))[0][:, 0, 0] for t in plain]
    source = appearance.rgb_to_hsv(reddish)[0][:, 0, 0]
    expected = (hues[1] - hues[0]) / source / 0.99  # the factor spans 0.99 over one range
    (ranges,) = regressed_ranges(("color_jitter",), config).values()
    found = relative_target("color_jitter", *drawn, ranges=ranges)[:, 0]
    assert float(expected.abs().max()) > 0.9
    assert float((found - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("name", ["rotate", "translate"])
def test_whole_numbers_are_parameters_too(name):
    width = len(regressed_intervals(name))
    zero, one = (torch.full((2, width), value) for value in (0, 1))
    expected = relative_target(name, zero.float(), one.float())
    assert torch.equal(relative_target(name, zero, one), expected)
    assert torch.equal(relative_target(name, zero, one.float()), expected)
