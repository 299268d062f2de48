"""Each quirk of the published code against plain loops, and all of them off by default."""

import math

import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.randomness import normal_fields
from handssl.study.identity import trial_id
from handssl.training.config import PretrainConfig
from handssl.transforms import AugmentConfig, Quirks, ViewMaker, appearance, make_views, quirks
from handssl.transforms.opencv import OpenCvViewMaker
from handssl.transforms.views import change_appearance
from tests.reference import augment_quirks as reference

BYTES = torch.randint(0, 256, (2, 3, 9, 9), generator=torch.Generator().manual_seed(0))
IMAGES = BYTES.double() / 255.0
IDS = torch.tensor([3, 8])


def changed(theta, **switches):
    return change_appearance(IMAGES, theta, IDS, key=7, switches=Quirks(**switches))


def on(*parameters):
    return torch.tensor([[1.0, *parameters]], dtype=torch.float64).expand(2, -1)


def test_wrapping_sobel_is_byte_arithmetic():
    found = changed({"sobel": on()}, wrapping_sobel=True)
    for image, view in zip(IMAGES.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(view, reference.sobel(image), atol=1e-12)


def test_wrapping_noise_drops_what_is_negative_and_starts_again_at_zero():
    found = changed({"noise": on(0.1)}, wrapping_noise=True).numpy()
    fields = normal_fields(IDS, 3 * 81, 7).reshape(2, 9, 9, 3).permute(0, 3, 1, 2).numpy()
    for image, field, view in zip(IMAGES.numpy(), fields, found, strict=True):
        np.testing.assert_allclose(view, reference.noise(image, field, 0.1), atol=1e-12)
    assert (found < IMAGES.numpy()).any()


@pytest.mark.parametrize("turns", [-0.5, 0.1, 0.5])
def test_multiplied_hue_is_a_factor_of_each_pixels_hue(turns):
    found = changed({"color_jitter": on(turns, -0.4, -0.2, 0.05)}, multiplied_hue=True)
    factors = (0.505 + 0.99 * turns, math.exp(-0.4), math.exp(-0.2))
    for image, view in zip(IMAGES.numpy(), found.numpy(), strict=True):
        expected = reference.color_jitter(image, *factors, 0.05)
        np.testing.assert_allclose(view, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["color_jitter", "color_drop", "sobel"])
def test_swapped_channels_take_red_for_blue(name):
    parameters = on(0.05, 0.2, 0.1, 0.02)[:, 1:] if name == "color_jitter" else on()[:, 1:]
    found = changed({name: torch.cat((on(), parameters), 1)}, swapped_channels=True)
    expected = getattr(appearance, name)(IMAGES[:, [2, 1, 0]], parameters)[:, [2, 1, 0]]
    assert torch.equal(found, expected)


def test_the_published_order_covers_before_it_drops_the_colour():
    theta = {"cutout": on(0.5, 0.5, 0.5, 0.5), "sobel": on()}
    expected = appearance.cutout(appearance.sobel(IMAGES, on()[:, 1:]), theta["cutout"][:, 1:])
    assert torch.equal(changed(theta, published_order=True), expected)
    theta = {"color_drop": on(), "noise": on(0.1)}
    assert bool((changed(theta, published_order=True).std(1) < 1e-12).all())
    assert not bool((changed(theta).std(1) < 1e-12).all())


def test_integer_degrees_round_down_in_image_and_target():
    angles = torch.tensor([[1.0, math.radians(-3.5)], [1.0, math.radians(7.9)]])
    found = torch.rad2deg(quirks.whole_degrees(angles)[:, 1])
    assert found.tolist() == pytest.approx([-4.0, 7.0], abs=1e-5)
    make = ViewMaker(AugmentConfig(quirks=Quirks(integer_degrees=True)), ("rotate",), 1, 8, 1.75)
    view = make(BYTES.byte(), IDS, epoch=1, view=0)
    degrees = torch.rad2deg(view.theta["rotate"][:, 1])
    assert torch.allclose(degrees, degrees.round(), atol=1e-4)
    assert torch.allclose(view.matrix[:, 0, 0], torch.cos(view.theta["rotate"][:, 1]))


def test_quirks_choose_the_tensor_backend_and_opencv_refuses_them():
    config = AugmentConfig.preset("paper_code")
    given = {"seed": 1, "view_px": 8, "context": 1.75}
    assert not isinstance(make_views(config, (), **given), OpenCvViewMaker)
    assert isinstance(make_views(AugmentConfig(), (), **given), OpenCvViewMaker)
    with pytest.raises(InputError, match="no quirks, got integer_degrees"):
        make_views(config, (), **given, backend="opencv")


def test_switches_that_are_off_leave_identities_alone_and_others_change_them():
    off = PretrainConfig(augmentation=AugmentConfig(quirks=Quirks()))
    code = PretrainConfig(augmentation=AugmentConfig.preset("paper_code"))
    assert trial_id(off, "00") == trial_id(PretrainConfig(), "00") != trial_id(code, "00")
    assert PretrainConfig.parse(code.model_dump(mode="json")) == code


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="paper or paper_code"):
        AugmentConfig.preset("code")
