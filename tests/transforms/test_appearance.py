"""color_jitter, blur, sobel, noise and cutout against naive pixel loops."""

import math

import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.transforms import appearance, quirks
from tests.reference import augment as naive

CHANGES = (
    appearance.color_jitter,
    appearance.color_drop,
    appearance.blur,
    appearance.sobel,
    appearance.cutout,
)


def images(count=3, side_px=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, side_px, side_px, dtype=torch.float64, generator=generator)


def assert_rows_equal(actual, expected, atol=1e-6):
    for row, naive_row in zip(actual.numpy(), expected, strict=True):
        np.testing.assert_allclose(row, naive_row, atol=atol)


def test_color_jitter_equals_the_standard_librarys_hsv():
    x = images()
    theta = torch.tensor([[0.07, 0.5, -0.3, 0.05], [-0.4, -0.6, 0.3, -0.1], [0, 0, 0, 0]])
    expected = [
        naive.color_jitter(i, t) for i, t in zip(x.numpy(), theta.double().tolist(), strict=True)
    ]
    assert_rows_equal(appearance.color_jitter(x, theta.double()), expected)


def test_color_jitter_of_zero_theta_is_the_identity():
    x = images()
    assert torch.allclose(appearance.color_jitter(x, torch.zeros(3, 4).double()), x, atol=1e-6)


def test_color_jitter_adds_up_along_theta_where_nothing_is_clipped():
    x = 0.3 + 0.2 * images()
    first = torch.tensor([[0.02, 0.05, 0.04, 0.0]]).double().expand(3, 4)
    twice = appearance.color_jitter(appearance.color_jitter(x, first), first)
    assert torch.allclose(twice, appearance.color_jitter(x, 2 * first), atol=1e-6)


def test_grey_pixels_have_no_hue_to_shift():
    grey = torch.full((1, 3, 4, 4), 0.5).double()
    theta = torch.tensor([[0.3, 0.0, 0.0, 0.0]]).double()
    assert torch.allclose(appearance.color_jitter(grey, theta), grey, atol=1e-6)


def test_blur_equals_the_double_sum():
    x = images(side_px=64)[:, :, :20, :20].contiguous()
    side_px = 20
    sigma = torch.tensor([[0.3 / side_px], [0.2 / side_px], [0.1 / side_px]]).double()
    radius_px = max(1, math.ceil(6.0 / 128 * side_px))
    expected = [
        naive.blur(i, float(s) * side_px, radius_px) for i, s in zip(x.numpy(), sigma, strict=True)
    ]
    assert_rows_equal(appearance.blur(x, sigma), expected)


def test_blur_reaches_far_enough_for_its_largest_sigma():
    side_px = 128
    point = torch.zeros(1, 3, side_px, side_px).double()
    point[..., 64, 64] = 1.0
    blurred = appearance.blur(point, torch.tensor([[2.0 / 128]]).double())[0, 0]
    axis = torch.arange(side_px).double() - 64
    variance = float((blurred * axis[:, None] ** 2).sum())
    assert variance == pytest.approx(4.0, rel=0.05)


def test_blur_keeps_a_constant_image():
    grey = torch.full((2, 3, 32, 32), 0.4).double()
    assert torch.allclose(appearance.blur(grey, torch.full((2, 1), 0.01).double()), grey)


def test_sobel_equals_the_loop_and_has_three_equal_channels():
    x = images()
    result = appearance.sobel(x, torch.zeros(3, 0))
    assert_rows_equal(result, [naive.sobel(i) for i in x.numpy()], atol=1e-3)
    assert torch.equal(result[:, 0], result[:, 2])


def test_cutout_equals_the_loop():
    x = images()
    theta = torch.tensor([[0.3, 0.5, 0.5, 0.1], [0.4, 0.0, 1.0, 0.9], [0.1, 0.2, 0.7, 0.0]])
    expected = [naive.cutout(i, t) for i, t in zip(x.numpy(), theta.double().tolist(), strict=True)]
    assert_rows_equal(appearance.cutout(x, theta.double()), expected)


def test_noise_has_the_deviation_it_was_given_and_no_mean():
    grey = torch.full((4, 3, 64, 64), 0.5)
    changed = appearance.noise(grey, torch.full((4, 1), 0.05), torch.arange(4), key=3) - grey
    assert float(changed.std()) == pytest.approx(0.05, rel=0.02)
    assert abs(float(changed.mean())) < 0.001


def test_noise_belongs_to_the_sample_and_not_to_its_place_in_the_batch():
    grey, sigma = torch.full((3, 3, 8, 8), 0.5), torch.full((3, 1), 0.05)
    together = appearance.noise(grey, sigma, torch.tensor([4, 9, 2]), key=3)
    alone = appearance.noise(grey[:1], sigma[:1], torch.tensor([9]), key=3)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[1])


def test_color_drop_equals_the_naive_grey_level():
    x = images()
    expected = [naive.color_drop(image) for image in x.numpy()]
    assert_rows_equal(appearance.color_drop(x, torch.empty(3, 0)), expected)


@pytest.mark.parametrize("change", [*CHANGES, quirks.color_jitter, quirks.sobel])
def test_images_of_bytes_are_refused_and_never_computed_in_bytes(change):
    images = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    theta = torch.full((1, 4), 0.1)
    theta = theta[:, :1] if change is appearance.blur else theta
    with pytest.raises(InputError, match=r"floating point in \[0, 1\], got torch.uint8"):
        change(images, theta)


@pytest.mark.parametrize("add", [appearance.noise, quirks.noise])
def test_noise_on_bytes_is_refused(add):
    images = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    with pytest.raises(InputError, match="floating point"):
        add(images, torch.full((1, 1), 0.1), torch.tensor([1]), key=1)
