"""Contact sheets show what is there."""

import cv2
import numpy as np
import pytest

from handssl.data.contact_sheet import FINGER_COLOURS, contact_sheet, sheet_of_crops, write_sheet
from handssl.data.sample import Sample
from handssl.errors import DataError


def crops(count):
    return np.full((count, 50, 50, 3), 128, dtype=np.uint8)


def joints(count):
    """Each finger a row of points of its own."""
    uv = np.full((count, 21, 2), 25.0)
    for finger in range(5):
        for part in range(4):
            uv[:, 1 + 4 * finger + part] = (8 + 10 * part, 5 + 10 * finger)
    return uv


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_every_crop_has_a_cell(count):
    sheet = sheet_of_crops(crops(count), None, np.ones((count, 21), bool), ["x"] * count, 1.75)
    grey = (sheet == 128).all(axis=2).sum()
    assert grey > 0.9 * count * 176**2


def test_every_finger_is_drawn_in_its_colour_at_its_place():
    valid = np.ones((1, 21), dtype=bool)
    sheet = sheet_of_crops(crops(1), joints(1), valid, ["id 1"], 1.0, cell_px=500)
    for finger, colour in enumerate(FINGER_COLOURS):
        rows = np.flatnonzero((sheet == colour).all(axis=2).sum(axis=1) > 100)
        assert rows.mean() == pytest.approx(10 + (5.5 + 10 * finger) * 10 - 0.5, abs=2)


def test_joints_without_a_label_are_not_drawn():
    valid = np.ones((1, 21), dtype=bool)
    valid[0, 1:5] = False
    sheet = sheet_of_crops(crops(1), joints(1), valid, ["id 1"], 1.0, cell_px=500)
    assert not (sheet == FINGER_COLOURS[0]).all(axis=2).any()
    assert (sheet == FINGER_COLOURS[1]).all(axis=2).any()


def test_joints_far_outside_do_no_harm():
    uv = joints(1)
    uv[0, 3] = (1e12, -1e12)
    sheet_of_crops(crops(1), uv, np.ones((1, 21), bool), ["id 1"], 1.75)


def test_a_sheet_is_written_as_png_in_the_same_colours(tmp_path):
    sheet = np.zeros((4, 5, 3), dtype=np.uint8)
    sheet[1, 2] = (250, 10, 60)
    write_sheet(tmp_path / "deep" / "sheet.png", sheet)
    assert np.array_equal(cv2.imread(str(tmp_path / "deep" / "sheet.png"))[..., ::-1], sheet)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_sheet(tmp_path / "file" / "sheet.png", np.zeros((4, 5, 3), dtype=np.uint8))


def test_samples_are_drawn_as_they_come_from_a_reader(blob_dataset):
    """Each blob hand has a disc of a colour of its own at each joint: the skeleton covers it."""
    hands = [blob_dataset(probe=3)[index] for index in range(3)]
    sheet = contact_sheet(hands, columns=2, cell_px=160)
    assert sheet.shape == (2 * (160 + 20 + 10), 2 * (160 + 10) + 10, 3)
    drawn = [(sheet == colour).all(axis=2).sum() for colour in FINGER_COLOURS]
    assert min(drawn) > 30


def test_without_labels_the_box_alone_is_marked():
    image = np.full((100, 120, 3), 60, dtype=np.uint8)
    sheet = contact_sheet([Sample(image, 3, 3, "x", box=(59.5, 49.5, 40.0))], cell_px=140)
    cell = sheet[10:150, 10:150]
    marked = np.argwhere((cell > 150).all(axis=2))
    # 1.75 box sides are 140 px, so the box is the middle 80.
    assert marked.min(axis=0) == pytest.approx([30, 30], abs=1)
    assert marked.max(axis=0) == pytest.approx([109, 109], abs=1)
    assert not any((sheet == colour).all(axis=2).any() for colour in FINGER_COLOURS)


def test_a_long_caption_stays_in_its_cell():
    valid = np.ones((2, 21), dtype=bool)
    sheet = sheet_of_crops(crops(2), None, valid, ["m" * 80, ""], 1.75, columns=2, cell_px=120)
    assert sheet[130:150, 10:130].max() > 100
    assert sheet[130:, 132:].max() < 60
