"""Image files: RGB as stored, and damage that is named."""

import cv2
import numpy as np
import pytest

from handssl.data.image_files import read_image
from handssl.errors import DataError

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.fixture
def written(tmp_path):
    def write(name, image=IMAGE):
        path = tmp_path / name
        assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
        return path

    return write


def test_colours_come_as_red_green_blue(written):
    assert np.array_equal(read_image(written("a.png"), (16, 12)), IMAGE)


def test_a_grey_image_has_three_equal_channels(written):
    grey = read_image(written("a.png", IMAGE[..., 0]))
    assert grey.shape == (12, 16, 3)
    assert (grey == grey[..., :1]).all()


def test_a_mark_that_asks_for_turning_is_ignored(written):
    path = written("a.jpg")
    jpeg = path.read_bytes()
    # An EXIF block that says "turned by 90 degrees" (orientation 6), after the start mark.
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    block = b"Exif\x00\x00" + tiff
    marked = jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]
    path.write_bytes(marked)
    assert cv2.imread(str(path)).shape == (16, 12, 3)  # what would happen without care
    assert read_image(path).shape == (12, 16, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"a\.jpg: expected an image, found none \(No such file"),
        (b"", r"a\.jpg: expected a whole JPEG, found 0 bytes"),
        (b"text", r"a\.jpg: expected a whole JPEG, found 4 bytes"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "a.jpg")


def test_a_cut_jpeg_is_damage_although_opencv_reads_it(written):
    path = written("a.jpg")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="expected a whole JPEG"):
        read_image(path)


def test_another_size_is_named(written):
    with pytest.raises(DataError, match=r"expected 12 x 16 pixels, found 16 x 12"):
        read_image(written("a.png"), (12, 16))


@pytest.mark.parametrize("level", [0, 12])
def test_an_all_black_image_is_damage_and_a_dark_one_is_not(written, level):
    dark = np.full((12, 16, 3), level, dtype=np.uint8)
    with pytest.raises(DataError, match="all-black"):
        read_image(written("a.png", dark))
    dark[3, 4] = 13
    read_image(written("b.png", dark))
