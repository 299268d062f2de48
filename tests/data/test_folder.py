"""A folder of images, with and without a detector's boxes."""

import threading

import cv2
import numpy as np
import pytest

from handssl.data.crops import box_of, crop_sample
from handssl.data.folder import FolderReader
from handssl.errors import DataError


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("b/2.JPG", "b/1.png", "a/deep/3.jpeg", "top.bmp"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ok, data = cv2.imencode(path.suffix, rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
        assert ok
        path.write_bytes(data.tobytes())
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


@pytest.fixture
def boxes(tmp_path):
    def write(*lines, header="file,x,y,width,height,side"):
        path = tmp_path / "boxes.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write


def test_every_image_below_the_folder_is_a_sample_of_pretrain(root):
    reader = FolderReader(root)
    names = [reader[i].source.removeprefix(f"{root}/") for i in range(len(reader))]
    assert names == ["a/deep/3.jpeg", "b/1.png", "b/2.JPG", "top.bmp"]
    assert list(reader.splits) == ["pretrain"]
    assert reader[0].uv is None and reader[0].xyz is None
    assert reader[1].group == reader[2].group != reader[3].group


def test_an_image_that_is_added_renumbers_no_other(root):
    before = {FolderReader(root)[i].source: FolderReader(root)[i].id for i in range(4)}
    (root / "a" / "0.png").write_bytes((root / "b" / "1.png").read_bytes())
    reader = FolderReader(root)
    after = {reader[i].source: reader[i].id for i in range(5)}
    assert before.items() <= after.items()
    assert len(set(after.values())) == 5
    assert all(0 <= number < 2**62 for number in after.values())


def test_the_fingerprint_follows_names_sizes_and_boxes(root, boxes):
    prints = [FolderReader(root).fingerprint, FolderReader(root, pattern="b/*").fingerprint]
    prints.append(FolderReader(root, boxes=boxes("top.bmp,1,2,10,8")).fingerprint)
    prints.append(FolderReader(root, boxes=boxes("top.bmp,1,2,10,9")).fingerprint)
    (root / "top.bmp").write_bytes((root / "top.bmp").read_bytes() + b"0")
    prints.append(FolderReader(root).fingerprint)
    assert len(set(prints)) == 5


def test_a_pattern_chooses_among_the_names(root):
    assert len(FolderReader(root, pattern="b/*")) == 2


def test_each_box_is_a_sample_and_images_without_one_are_left_out(root, boxes):
    reader = FolderReader(
        root, boxes=boxes("b/1.png,10,5,20,30", "b/1.png,30,5,8,8", "top.bmp,0,0,60,40")
    )
    assert len(reader) == 3
    assert reader.notes == ("2 images without a box, left out",)
    centre, side_px = box_of(reader[0])
    # Columns 10..29 and rows 5..34 have their middle at 19.5 and 19.5.
    assert (centre.tolist(), side_px) == ([19.5, 19.5], 37.5)
    assert len({reader[i].id for i in range(3)}) == 3


def test_a_left_hand_and_its_box_are_mirrored(root, boxes):
    right = FolderReader(root, boxes=boxes("b/1.png,10,5,20,30,right"))[0]
    left = FolderReader(root, boxes=boxes("b/1.png,10,5,20,30,left"))[0]
    assert (left.side, left.mirrored, right.side, right.mirrored) == ("left", True, "right", False)
    a, _ = crop_sample(right, 50, 1.0)
    b, _ = crop_sample(left, 50, 1.0)
    assert np.abs(a[:, ::-1].astype(int) - b).max() <= 1


MISTAKES = [
    (("none.png,1,2,3,4",), "line 2: file: expected an image, found none named 'none.png'"),
    (("top.bmp,1,2,3,4", "top.bmp,1,x,3,4"), "line 3: x, y, width, height: expected four numbers"),
    (("top.bmp,1,2",), "line 2: x, y, width, height: expected four numbers"),
    (("top.bmp,1,2,0,4",), "line 2: width, height: expected an area, found 0 x 4"),
    (("top.bmp,1,nan,3,4",), "line 2: width, height: expected an area"),
    (("top.bmp,1,2,3,4,both",), "line 2: side: expected right or left, found 'both'"),
]


@pytest.mark.parametrize(("lines", "message"), MISTAKES)
def test_a_mistake_in_the_boxes_is_named_with_its_line(root, boxes, lines, message):
    with pytest.raises(DataError) as caught:
        FolderReader(root, boxes=boxes(*lines))
    assert message in str(caught.value)


def test_all_mistakes_are_listed_at_once(root, boxes):
    with pytest.raises(DataError, match=r"30 mistakes in .*boxes\.csv:") as caught:
        FolderReader(root, boxes=boxes(*["top.bmp,1,2,0,4"] * 30))
    assert str(caught.value).count("\n") == 21
    assert str(caught.value).endswith("and 10 more")


def test_a_header_without_a_column_is_named(root, boxes):
    with pytest.raises(DataError, match="missing width, height"):
        FolderReader(root, boxes=boxes("a", header="file,x,y"))
    with pytest.raises(DataError, match="cannot read it"):
        FolderReader(root, boxes=root / "none.csv")


def test_a_box_outside_its_image_is_found_when_it_is_read(root, boxes):
    reader = FolderReader(root, boxes=boxes("top.bmp,60,0,10,10"))
    with pytest.raises(DataError, match=r"top\.bmp: id \d+: expected a box inside 60 x 40 pixels"):
        reader[0]


def test_a_folder_without_images_says_what_is_there(root, tmp_path):
    with pytest.raises(DataError, match="expected a folder with images, found none"):
        FolderReader(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found nothing"):
        FolderReader(tmp_path / "empty")
    with pytest.raises(DataError, match=r"that fit 'x/\*', found a, b, notes\.txt, top\.bmp"):
        FolderReader(root, pattern="x/*")


def test_threads_read_what_one_reads(root):
    reader = FolderReader(root)
    found = {}

    def read(index):
        found[index] = reader[index % 4].image

    threads = [threading.Thread(target=read, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[index], reader[index % 4].image) for index in range(12))
