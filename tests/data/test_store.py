"""Packing, opening and cropping."""

import numpy as np
import pytest

from handssl.data.sample import Sample
from handssl.data.store import PackedStore, box_of, crop_sample, pack
from handssl.data.study_data import StudyData
from handssl.errors import DataError


def test_a_packed_split_gives_back_images_and_labels(tmp_path, blob_dataset):
    dataset = blob_dataset("probe", 5)
    store = pack(dataset, tmp_path / "probe", crop_px=56, context=1.75)
    image, row = crop_sample(dataset[3], 56, 1.75)
    assert np.array_equal(store.crops(np.array([3]))[0].permute(1, 2, 0).numpy(), image)
    assert np.array_equal(store.label("uv")[3], row["uv"])
    assert store.ids.tolist() == [1000, 1001, 1002, 1003, 1004]
    assert store.manifest.labelled


def test_keypoints_of_a_crop_are_the_projection_by_its_camera(blob_dataset):
    _, row = crop_sample(blob_dataset("probe", 1)[0], 56, 1.75)
    homogeneous = row["xyz"] @ row["camera"].T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], row["uv"], atol=1e-9)


def test_a_pixel_of_the_source_is_found_where_the_crop_says():
    image = np.zeros((80, 100, 3), dtype=np.uint8)
    image[30:33, 60:63] = 255
    uv = np.full((21, 2), 0.0)
    uv[:] = [61.0, 31.0]
    uv[0], uv[1] = [41.0, 21.0], [73.0, 53.0]
    sample = Sample(image, 1, 1, "x", uv=uv, xyz=np.ones((21, 3)), camera=np.eye(3))
    crop, row = crop_sample(sample, 120, 1.75)
    ys, xs = np.nonzero(crop[..., 0] > 128)
    np.testing.assert_allclose([xs.mean(), ys.mean()], row["uv"][5], atol=0.5)


def test_the_box_holds_the_valid_joints_with_the_margin(blob_dataset):
    sample = blob_dataset("probe", 1)[0]
    centre, side_px = box_of(sample)
    extent = sample.uv.max(0) - sample.uv.min(0)
    assert side_px == pytest.approx(1.25 * extent.max())
    np.testing.assert_allclose(centre, (sample.uv.max(0) + sample.uv.min(0)) / 2)


def test_an_unlabelled_image_is_its_own_box():
    sample = Sample(np.zeros((40, 60, 3), dtype=np.uint8), 1, 1, "x")
    centre, side_px = box_of(sample)
    assert (centre.tolist(), side_px) == ([29.5, 19.5], 40.0)


def test_the_outside_share_counts_pixels_that_no_image_covers():
    uv = np.tile([20.0, 20.0], (21, 1))
    uv[0], uv[1] = [0.0, 0.0], [40.0, 40.0]
    image = np.zeros((41, 41, 3), dtype=np.uint8)
    sample = Sample(image, 1, 1, "x", uv=uv, xyz=np.ones((21, 3)), camera=np.eye(3))
    _, row = crop_sample(sample, 100, 2.0)
    assert row["outside"] == pytest.approx(1 - (41 / 100) ** 2, abs=0.02)


def test_a_store_that_is_there_is_reused_without_reading_a_sample(tmp_path, blob_dataset):
    first = pack(blob_dataset("probe", 4), tmp_path / "s", crop_px=56, context=1.75)
    dataset = blob_dataset("probe", 4)
    dataset.__class__ = type("Unreadable", (blob_dataset,), {"__getitem__": None})
    again = pack(dataset, tmp_path / "s", crop_px=56, context=1.75)
    assert again.manifest == first.manifest


def test_a_folder_with_other_data_is_refused(tmp_path, blob_dataset):
    pack(blob_dataset("probe", 4), tmp_path / "s", crop_px=56, context=1.75)
    with pytest.raises(DataError, match="expected a store with fingerprint"):
        pack(blob_dataset("probe", 5), tmp_path / "s", crop_px=56, context=1.75)


def test_a_store_that_was_not_finished_is_none(tmp_path, blob_dataset):
    class Broken(blob_dataset):
        def __getitem__(self, index):
            if index == 2:
                raise DataError("image 2: expected JPEG, found nothing")
            return super().__getitem__(index)

    with pytest.raises(DataError, match="image 2"):
        pack(Broken("probe", 4), tmp_path / "s", crop_px=56, context=1.75)
    with pytest.raises(DataError, match="expected a packed store"):
        PackedStore(tmp_path / "s")
    assert len(pack(blob_dataset("probe", 4), tmp_path / "s", crop_px=56, context=1.75)) == 4


def test_missing_splits_are_named(tmp_path, blob_dataset):
    pack(blob_dataset("probe", 4), tmp_path / "probe", crop_px=56, context=1.75)
    with pytest.raises(DataError, match="missing pretrain, select, test"):
        StudyData(tmp_path)


def test_the_fingerprint_of_a_study_follows_every_split(tmp_path, blob_dataset):
    prints = set()
    for count in (4, 5):
        folder = tmp_path / str(count)
        for split in ("pretrain", "probe", "select", "test"):
            size = count if split == "test" else 4
            pack(blob_dataset(split, size), folder / split, crop_px=56, context=1.75)
        prints.add(StudyData(folder).fingerprint)
    assert len(prints) == 2
