"""Cutting crops: pixels, labels and cameras stay together."""

import numpy as np
import pytest

from handssl.data.crops import box_of, crop_sample
from handssl.data.sample import Sample
from handssl.errors import DataError


def framed(image, low, high, **others):
    """A sample whose joints span from `low` to `high`, with the fifth in the middle."""
    uv = np.tile((np.array(low) + np.array(high)) / 2.0, (21, 1))
    uv[0], uv[1] = low, high
    labels = {"uv": uv, "xyz": np.ones((21, 3)), "camera": np.eye(3)}
    return Sample(image, 1, 1, "somewhere", **(labels | others))


def test_keypoints_of_a_crop_are_the_projection_by_its_camera(blob_dataset):
    _, row = crop_sample(blob_dataset(probe=1)[0], 56, 1.75)
    homogeneous = row["xyz"] @ row["camera"].T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], row["uv"], atol=1e-9)


@pytest.mark.parametrize(("size", "crop_px"), [(100, 120), (400, 60), (403, 41), (1000, 48)])
def test_a_pixel_of_the_source_is_found_where_the_crop_says(size, crop_px):
    image = np.zeros((size, size, 3), dtype=np.uint8)
    middle, half = 55 * size // 100, size // 40
    ys, xs = np.mgrid[:size, :size]
    image[(np.abs(xs - middle) <= half) & (np.abs(ys - middle) <= half)] = 255
    low, high = [middle - 0.15 * size] * 2, [middle + 0.15 * size] * 2
    crop, row = crop_sample(framed(image, low, high), crop_px, 1.75)
    weights = crop[..., 0].astype(float)
    cy, cx = (np.sum(axis * weights) / weights.sum() for axis in np.mgrid[:crop_px, :crop_px])
    np.testing.assert_allclose([cx, cy], row["uv"][5], atol=0.3)


def test_what_is_made_much_smaller_is_averaged_not_sampled():
    image = np.zeros((640, 640, 3), dtype=np.uint8)
    image[:, ::2] = 200  # stripes of one pixel: sampling would give 0 or 200 by chance
    crop, _ = crop_sample(framed(image, [100, 100], [540, 540]), 64, 1.75)
    # A crop pixel covers 15 columns: 7 or 8 of them are bright.
    assert np.abs(crop[16:48, 16:48].astype(float) - 100).max() <= 200 * 0.5 / 15 + 1


def photograph(cycles, scale, *, count=96):
    """A camera's image of a wave of `cycles` per crop pixel, reduced by `scale` when it is cropped.

    A pixel of the camera averages the wave over its own square, exactly. Returns the sample, and
    the amplitude of the wave itself.
    """
    side = int(np.ceil(count * scale)) + 40
    frequency, amplitude = cycles / scale, 100.0
    wave = np.cos(2 * np.pi * frequency * (np.arange(side) + 0.3)) * np.sinc(frequency)
    image = np.repeat(np.round(128 + amplitude * wave)[None, :, None], side, axis=0)
    box = (side / 2 + 0.21, side / 2 - 0.17, count * scale)
    return Sample(np.repeat(image, 3, axis=2).astype(np.uint8), 1, 1, "wave", box=box), amplitude


def gain(cycles, scale, *, count=96):
    """Contrast of a wave in the crop, in shares of its own."""
    sample, amplitude = photograph(cycles, scale, count=count)
    crop, _ = crop_sample(sample, count, 1.0)
    return float(crop[8:-8, 8:-8, 0].std()) / (amplitude / np.sqrt(2))


SCALES = np.exp(np.arange(np.log(0.7), np.log(8.0), 0.0217))
"""Irrational steps of about two percent: a whole ratio would meet one phase of the pixels only."""


def test_how_sharp_a_crop_is_changes_smoothly_with_the_size_of_the_hand_in_its_image():
    """The same scene photographed from every distance: at most 8 percent per 2 percent of scale."""
    gains = np.array([gain(0.25, scale) for scale in SCALES])
    assert np.abs(np.diff(np.log(gains))).max() < 0.08


def test_a_reduced_crop_is_equally_sharp_at_every_scale():
    """Contrast of a wave at half the Nyquist frequency does not tell the size of the hand."""
    gains = [gain(0.25, scale) for scale in SCALES if scale >= 1]
    assert max(gains) / min(gains) < 1.12


@pytest.mark.parametrize("cycles", [0.75, 0.9, 1.2])
def test_detail_finer_than_a_crop_pixel_does_not_return_as_a_coarser_pattern(cycles):
    """Waves that the camera resolves and the crop can't, beyond 1.5 times its Nyquist frequency."""
    resolved = [scale for scale in SCALES if cycles / scale < 0.48]
    assert max(gain(cycles, scale) for scale in resolved) < 0.13


def test_noise_of_the_camera_falls_smoothly_with_the_scale():
    noise = np.random.default_rng(0).normal(128, 40, (800, 800)).clip(0, 255).round()
    image = np.repeat(noise[..., None], 3, axis=2).astype(np.uint8)
    spread = []
    for scale in SCALES:
        box = (400.21, 399.83, 96 * scale)
        crop, _ = crop_sample(Sample(image, 1, 1, "noise", box=box), 96, 1.0)
        spread.append(float(crop[..., 0].std()))
    steps = np.diff(np.log(spread))
    # The noise of 96 x 96 independent pixels has a standard error of half a percent.
    assert steps.max() < 0.02 and steps.min() > -0.06


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.01, 1.37, 1.99, 2.01, 3.1, 3.99, 4.01, 6.3])
def test_points_are_where_their_labels_say_to_a_twentieth_of_a_pixel(scale):
    """Spots in a grid, found in the crop by their centre of mass."""
    count, spot = 120, 1.6 * max(scale, 1.0)
    side = int(np.ceil(count * scale)) + 21
    grid = np.linspace(0.14, 0.86, 5) * count * scale + 10.37
    points = np.array([(x, y + 0.11) for x in grid for y in grid])[:21]
    ys, xs = np.mgrid[:side, :side]
    spots = [np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * spot**2)) for x, y in points]
    image = np.repeat((250 * np.sum(spots, axis=0)).round()[..., None], 3, axis=2)
    sample = Sample(
        image.astype(np.uint8), 1, 1, "spots", points, np.ones((21, 3)), camera=np.eye(3),
        box=(side / 2, side / 2, count * scale), box_first=True,
    )  # fmt: skip
    crop, row = crop_sample(sample, count, 1.0)
    reach = round(0.07 * count)
    for u, v in row["uv"]:
        window = np.mgrid[round(v) - reach : round(v) + reach, round(u) - reach : round(u) + reach]
        weights = crop[window[0], window[1], 0].astype(float)
        found = [(axis * weights).sum() / weights.sum() for axis in window[::-1]]
        np.testing.assert_allclose(found, [u, v], atol=0.05)


def test_the_extent_box_holds_the_valid_joints_with_the_margin(blob_dataset):
    sample = blob_dataset(probe=1)[0]
    centre, side_px = box_of(sample, "extent")
    extent = sample.uv.max(0) - sample.uv.min(0)
    assert side_px == pytest.approx(1.25 * extent.max())
    np.testing.assert_allclose(centre, (sample.uv.max(0) + sample.uv.min(0)) / 2)


def test_the_default_box_is_the_published_one(blob_dataset):
    """Centre: the mean joint; half a side: 1.25 times the largest distance of a joint from it."""
    sample = blob_dataset(probe=1)[0]
    centre, side_px = box_of(sample)
    distances = [np.hypot(*(joint - sample.uv.mean(0))) for joint in sample.uv]
    np.testing.assert_allclose(centre, sample.uv.mean(0))
    assert side_px == pytest.approx(2 * 1.25 * max(distances))
    crop, row = crop_sample(sample, 56, 1.75)
    assert crop.shape == (56, 56, 3)
    # Turned by any angle about the centre of its box, no joint leaves it.
    assert np.hypot(*(row["uv"] - 27.5).T).max() <= 16 / 1.25 + 1e-9


def test_joints_without_a_label_do_not_move_the_box():
    image, valid = np.zeros((80, 80, 3), dtype=np.uint8), np.ones(21, dtype=bool)
    valid[7] = False
    sample = framed(image, [20, 20], [40, 40], valid=valid)
    sample.uv[7] = 1e6
    assert box_of(sample, "extent")[1] == pytest.approx(25.0)
    assert box_of(sample)[0][0] < 40
    _, row = crop_sample(sample, 40, 1.75)
    assert not row["valid"][7] and row["uv"][7].tolist() == [0, 0]


def test_an_unlabelled_image_is_its_own_box_unless_it_brings_one():
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    centre, side_px = box_of(Sample(image, 1, 1, "x"))
    assert (centre.tolist(), side_px) == ([29.5, 19.5], 40.0)
    centre, side_px = box_of(Sample(image, 1, 1, "x", box=(10.0, 12.0, 8.0)))
    assert (centre.tolist(), side_px) == ([10.0, 12.0], 8.0)


def test_an_unlabelled_sample_has_no_valid_joint():
    _, row = crop_sample(Sample(np.zeros((40, 60, 3), dtype=np.uint8), 1, 1, "x"), 20, 1.0)
    assert not row["valid"].any()


def test_joints_that_coincide_are_damage():
    sample = framed(np.zeros((40, 40, 3), dtype=np.uint8), [9, 9], [9, 9])
    with pytest.raises(DataError, match=r"somewhere: id 1: expected joints with an extent"):
        crop_sample(sample, 20, 1.75)


def test_the_outside_share_counts_pixels_that_no_image_covers():
    image = np.zeros((41, 41, 3), dtype=np.uint8)
    _, row = crop_sample(framed(image, [0.0, 0.0], [40.0, 40.0]), 100, 2.0, "extent")
    assert row["outside"] == pytest.approx(1 - (41 / 100) ** 2, abs=0.02)
