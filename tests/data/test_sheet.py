"""Contact sheets show what is there."""

import cv2
import numpy as np
import pytest

from handssl.data.sheet import FINGER_COLOURS, sheet_of_crops, write_sheet
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
