"""Crops around a detector's boxes: mistakes are told, each with its line."""

import pickle

import pytest

from handssl.data.catalog import open_reader
from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.readers.detected import DetectedReader
from handssl.errors import DataError

HEADER = "id,x,y,width,height"


@pytest.fixture
def boxes(tmp_path):
    def write(*lines):
        path = tmp_path / "boxes.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_the_box_comes_before_the_labels(boxes, blob_dataset):
    reader = DetectedReader(blob_dataset(), boxes(HEADER, "0,10,20,30,40"))
    sample = reader[0]
    assert sample.box == (24.5, 39.5, 50.0)
    assert sample.box_first
    assert sample.uv is not None
    assert "boxes.csv" in reader.notes[-1]


def test_a_sample_without_a_box_is_damaged(boxes, blob_dataset):
    reader = DetectedReader(blob_dataset(), boxes(HEADER, "0,10,20,30,40"))
    with pytest.raises(DataError, match=r"id 1: expected a box in .*boxes\.csv, found none"):
        reader[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,1,2,3,4", "line 3: id, x, y, width, height: expected five numbers, found x, 1"),
        ("1,1,2,3", "line 3: id, x, y, width, height: expected five numbers"),
        ("1,1,2,0,4", "line 3: width, height: expected an area, found 0 x 4"),
        ("0,1,2,3,4", "line 3: id: expected each once, found 0 again"),
    ],
)
def test_mistakes_are_reported_by_line(boxes, blob_dataset, line, message):
    with pytest.raises(DataError, match="1 mistake") as error:
        DetectedReader(blob_dataset(), boxes(HEADER, "0,10,20,30,40", line))
    assert message in str(error.value)


def test_a_wrong_header_and_a_missing_file_are_reported(boxes, blob_dataset, tmp_path):
    with pytest.raises(DataError, match="line 1: expected a header with id, x, y, width, height"):
        DetectedReader(blob_dataset(), boxes("file,x,y,width,height", "a,1,2,3,4"))
    with pytest.raises(DataError, match="cannot read it"):
        DetectedReader(blob_dataset(), tmp_path / "none.csv")


def test_datasets_on_disk_take_boxes_and_travel_to_other_processes(boxes, tmp_path):
    spec = ProceduralSpec(pretrain=4, probe=2, select=2, test=2, image_px=64)
    root = write_freihand(tmp_path / "root", spec, workers=1)
    reader = open_reader("freihand", root, boxes=boxes(HEADER, "0,5,5,40,40"))
    again = pickle.loads(pickle.dumps(reader))
    assert again[0].box == reader[0].box == (24.5, 24.5, 50.0)
    assert again.fingerprint == reader.fingerprint != open_reader("freihand", root).fingerprint
