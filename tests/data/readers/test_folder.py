"""A folder of one's own images: every image once, by name, with or without boxes."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from handssl.data.crops import box_of, crop_sample
from handssl.data.readers import folder
from handssl.data.readers.folder import FolderReader
from handssl.data.sample import Reader
from handssl.errors import DataError

WIDTH, HEIGHT = 30, 20
NAMES = ("a.png", "b/1.jpg", "b/2.JPEG", "b/c/3.bmp", "d e/ü.webp")


def picture(number):
    """Smooth, different for each number."""
    small = np.random.default_rng(number).integers(30, 255, (3, 4, 3), dtype=np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(path.suffix.lower(), image[..., ::-1])
    path.write_bytes(encoded.tobytes())


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(NAMES):
        save(tmp_path / "root" / name, picture(number))
    (tmp_path / "root" / "notes.txt").write_text("no image")
    return tmp_path / "root"


@pytest.fixture
def boxes(tmp_path):
    def write(*lines, header="file,x,y,width,height,side"):
        path = tmp_path / "boxes.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return path

    return write


def names(reader, root):
    return [os.path.relpath(reader[row].source, root) for row in range(len(reader))]


def test_every_image_is_there_once_in_the_order_of_the_names(root):
    reader = FolderReader(root)
    assert isinstance(reader, Reader)
    assert names(reader, root) == sorted(NAMES)
    for row, name in enumerate(sorted(NAMES)):
        sample = reader[row]
        assert sample.image.shape == (HEIGHT, WIDTH, 3)
        apart = np.abs(sample.image.astype(int) - picture(NAMES.index(name)))
        assert apart.mean() < (10 if name.lower().endswith(("jpg", "jpeg", "webp")) else 1e-9)
        assert sample.uv is sample.xyz is sample.camera is sample.box is None
        assert (sample.side, sample.mirrored) == ("right", False)
    assert {name: rows.tolist() for name, rows in reader.splits.items()} == {
        "pretrain": [0, 1, 2, 3, 4]
    }
    assert reader.notes == ()
    with pytest.raises(IndexError):
        reader[5]


def test_an_image_that_is_added_renumbers_none(root):
    before = FolderReader(root)
    ids = {before[row].source: before[row].id for row in range(5)}
    save(root / "aa.png", picture(9))
    after = FolderReader(root)
    assert len(after) == 6
    again = {after[row].source: after[row].id for row in range(6)}
    assert ids.items() < again.items()
    assert len(set(again.values())) == 6
    assert all(0 <= number < 2**62 for number in again.values())
    assert after.fingerprint != before.fingerprint


def test_ids_do_not_depend_on_where_the_folder_lies(root, monkeypatch):
    ids = [FolderReader(root)[row].id for row in range(5)]
    monkeypatch.chdir(root)
    here = FolderReader(Path())
    assert [here[row].id for row in range(5)] == ids
    assert here.fingerprint == FolderReader(root).fingerprint


def test_images_of_one_folder_are_one_group(root):
    reader = FolderReader(root)
    groups = {name: reader[row].group for row, name in enumerate(names(reader, root))}
    assert groups["b/1.jpg"] == groups["b/2.JPEG"]
    assert len(set(groups.values())) == 4


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*", sorted(NAMES)),
        ("*", ["a.png"]),
        ("b/*", ["b/1.jpg", "b/2.JPEG"]),
        ("b/**/*", ["b/1.jpg", "b/2.JPEG", "b/c/3.bmp"]),
        ("**/[13].*", ["b/1.jpg", "b/c/3.bmp"]),
        ("**/c/*.bmp", ["b/c/3.bmp"]),
        ("b/**", ["b/1.jpg", "b/2.JPEG", "b/c/3.bmp"]),
    ],
)
def test_a_pattern_chooses_by_relative_name(root, pattern, found):
    assert names(FolderReader(root, pattern=pattern), root) == found


def test_a_pattern_that_nothing_fits_is_reported(root):
    with pytest.raises(DataError, match=r"expected images .* that fit '\*\.jpg', found a\.png, b"):
        FolderReader(root, pattern="*.jpg")


def test_hidden_files_are_passed_over(root):
    save(root / "._a.png", picture(7))
    save(root / ".cache" / "small.png", picture(8))
    assert names(FolderReader(root), root) == sorted(NAMES)


def test_a_link_to_a_folder_above_does_not_turn_in_circles(root, tmp_path):
    (root / "b" / "up").symlink_to(root, target_is_directory=True)
    (root / "self").symlink_to(root / "self2")
    assert len(FolderReader(root)) == 5
    save(tmp_path / "other" / "x.png", picture(6))
    (root / "z").symlink_to(tmp_path / "other", target_is_directory=True)
    assert names(FolderReader(root), root)[-1] == "z/x.png"


def test_a_link_to_an_image_that_is_gone_is_named(root):
    (root / "gone.png").symlink_to(root / "nothing.png")
    with pytest.raises(DataError, match=r"gone\.png: expected a folder or an image, cannot read"):
        FolderReader(root)


def test_a_name_that_is_not_unicode_is_read(root):
    path = os.fsencode(root) + b"/\xff.png"
    os.link(root / "a.png", path)
    reader = FolderReader(root)
    assert np.array_equal(reader[5].image, reader[0].image)
    assert reader[5].id != reader[0].id


@pytest.mark.parametrize(
    ("make", "found"), [("nothing", "nothing"), ("text", "found a.txt"), ("none", "found none")]
)
def test_a_root_without_images_says_what_it_holds(tmp_path, make, found):
    root = tmp_path / "root"
    if make != "none":
        root.mkdir()
    if make == "text":
        (root / "a.txt").touch()
    with pytest.raises(DataError, match=f"root: expected .*{found}"):
        FolderReader(root)


def test_names_that_hash_alike_are_refused(root, monkeypatch):
    monkeypatch.setattr(folder, "_hash", lambda text: len(text) % 3)
    with pytest.raises(DataError, match=r"expected a unique id, found the same as .*; rename it"):
        FolderReader(root)


def test_a_damaged_image_is_named_when_it_is_read(root):
    (root / "a.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"a\.png: expected a whole image"):
        FolderReader(root)[0]


def test_a_box_becomes_a_square_around_its_centre(root, boxes):
    """Edges lie between pixels: the first pixel reaches from 0 to 1, its centre is at 0."""
    reader = FolderReader(root, boxes=boxes("a.png,4,2,8,12,right"))
    assert reader[0].box == (7.5, 7.5, 15.0)
    centre, side_px = box_of(reader[0])
    assert (centre.tolist(), side_px) == ([7.5, 7.5], 15.0)


def test_a_crop_at_a_box_shows_the_pixels_of_the_box(root, boxes):
    """12.5 source pixels, of which the box are the middle 10: at one to one, exact copies."""
    image = picture(3)
    save(root / "a.png", image)
    reader = FolderReader(root, boxes=boxes("a.png,5,4,8,8,"))
    crop, row = crop_sample(reader[0], 10, 1.0)
    assert np.array_equal(crop, image[3:13, 4:14])
    assert not row["valid"].any()


def test_an_image_has_a_sample_for_each_box(root, boxes):
    given = boxes("b/1.jpg,1,1,4,4,right", "a.png,0,0,5,5,", "b/1.jpg,6,2,9,8,right")
    reader = FolderReader(root, boxes=given)
    assert names(reader, root) == ["a.png", "b/1.jpg", "b/1.jpg"]
    assert [reader[row].box[2] for row in range(3)] == [6.25, 5.0, 11.25]
    assert len({reader[row].id for row in range(3)}) == 3
    plain = FolderReader(root)
    assert [reader[0].id, reader[1].id] == [plain[0].id, plain[1].id]
    assert reader[1].group == reader[2].group == plain[1].group


def test_images_without_a_box_are_left_out_and_counted(root, boxes):
    reader = FolderReader(root, boxes=boxes("a.png,1,1,4,4,"))
    assert len(reader) == 1
    assert reader.notes == ("4 images without a box, left out",)


def test_a_left_hand_is_mirrored_with_its_box(root, boxes):
    reader = FolderReader(root, boxes=boxes("a.png,4,2,8,8,left", "a.png,4,2,8,8,right"))
    left, right = reader[0], reader[1]
    assert (left.side, left.mirrored, right.mirrored) == ("left", True, False)
    assert np.array_equal(left.image, right.image[:, ::-1])
    ours, theirs = (crop_sample(sample, 12, 1.0)[0] for sample in (left, right))
    np.testing.assert_allclose(ours[:, ::-1].astype(int), theirs, atol=1)


def test_the_side_may_be_left_out_and_other_columns_are_ignored(root, boxes):
    given = boxes("0.9,a.png,4,2,8,12", header="score,file,x,y,width,height")
    assert FolderReader(root, boxes=given)[0].side == "right"


def test_a_table_program_may_have_written_the_boxes(root, boxes):
    path = boxes('"d e/ü.webp",4,2,8,12,right')
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert names(FolderReader(root, boxes=path), root) == ["d e/ü.webp"]


def test_all_mistakes_in_boxes_are_listed_with_their_lines(root, boxes):
    given = boxes(
        "a.png,1,1,4,4,right",
        "c.png,1,1,4,4,right",
        "a.png,1,x,4,4,right",
        "a.png,1,1,0,4,right",
        "a.png,1,1,4,nan,right",
        "a.png,1,1,4,4,lft",
        "a.png,1",
    )
    with pytest.raises(DataError) as caught:
        FolderReader(root, boxes=given)
    first, *lines = str(caught.value).split("\n")
    assert first == f"6 mistakes in {given}:"
    for line, number, words in zip(
        lines,
        (3, 4, 5, 6, 7, 8),
        (
            "file: expected an image, found none named 'c.png'; did you mean 'a.png'?",
            "expected four numbers, found 1, x, 4, 4",
            "expected an area, found 0 x 4 at (1, 1)",
            "expected an area, found 4 x nan",
            "side: expected right or left, found 'lft'",
            "expected four numbers, found 1, None",
        ),
        strict=True,
    ):
        assert line.startswith(f"  line {number}: ")
        assert words in line


def test_of_many_mistakes_the_first_are_listed_and_the_others_counted(root, boxes):
    with pytest.raises(DataError, match=r"30 mistakes in .*boxes\.csv:") as caught:
        FolderReader(root, boxes=boxes(*["a.png,1,2,0,4,"] * 30))
    assert str(caught.value).count("\n") == 21
    assert str(caught.value).endswith("and 10 more")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file,x,y,w,h", "line 1: expected a header with .*, missing width, height"),
        ("file,x,y,width,height", "expected a line for each box, found only a header"),
    ],
)
def test_a_file_without_boxes_is_named(root, boxes, header, message):
    with pytest.raises(DataError, match=rf"boxes\.csv: {message}"):
        FolderReader(root, boxes=boxes(header=header))


def test_boxes_that_are_missing_are_named(root, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: expected a CSV with boxes, cannot read it"):
        FolderReader(root, boxes=tmp_path / "none.csv")


@pytest.mark.parametrize("box", ["30,0,5,5", "-5,0,5,5", "0,20,5,5", "0,-6,5,5"])
def test_a_box_outside_its_image_is_named_when_it_is_read(root, boxes, box):
    reader = FolderReader(root, boxes=boxes(f"a.png,{box},"))
    with pytest.raises(DataError, match=r"a\.png: id \d+: expected a box inside 30 x 20 pixels"):
        reader[0]


def test_the_fingerprint_follows_names_sizes_and_boxes(root, boxes):
    prints = [FolderReader(root).fingerprint]
    for line in ("a.png,1,1,4,4,", "a.png,1,1,4,5,", "a.png,1,1,4,4,left"):
        prints.append(FolderReader(root, boxes=boxes(line)).fingerprint)
    (root / "a.png").write_bytes((root / "a.png").read_bytes() + b"\0")
    prints.append(FolderReader(root).fingerprint)
    (root / "a.png").rename(root / "a2.png")
    prints.append(FolderReader(root).fingerprint)
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 32 for text in prints)


def test_several_threads_read_the_same_as_one(root):
    reader = FolderReader(root)
    order = list(range(5)) * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: reader[row].image, order))
    assert all(
        np.array_equal(image, reader[row].image) for row, image in zip(order, found, strict=True)
    )
