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


def test_the_box_holds_the_valid_joints_with_the_margin(blob_dataset):
    sample = blob_dataset(probe=1)[0]
    centre, side_px = box_of(sample)
    extent = sample.uv.max(0) - sample.uv.min(0)
    assert side_px == pytest.approx(1.25 * extent.max())
    np.testing.assert_allclose(centre, (sample.uv.max(0) + sample.uv.min(0)) / 2)


def test_joints_without_a_label_do_not_move_the_box():
    image, valid = np.zeros((80, 80, 3), dtype=np.uint8), np.ones(21, dtype=bool)
    valid[7] = False
    sample = framed(image, [20, 20], [40, 40], valid=valid)
    sample.uv[7] = 1e6
    assert box_of(sample)[1] == pytest.approx(25.0)
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
    _, row = crop_sample(framed(image, [0.0, 0.0], [40.0, 40.0]), 100, 2.0)
    assert row["outside"] == pytest.approx(1 - (41 / 100) ** 2, abs=0.02)
