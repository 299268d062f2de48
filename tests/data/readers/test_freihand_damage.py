"""What is damaged in a FreiHAND root is named with file and id, never guessed around."""

import json
import shutil

import cv2
import numpy as np
import pytest

from handssl.data.procedural import ProceduralSpec, write_freihand
from handssl.data.readers.freihand import FreihandReader
from handssl.errors import DataError

SPEC = ProceduralSpec(pretrain=5, probe=4, select=3, test=3, image_px=64, versions=1, evaluation=3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_freihand(tmp_path_factory.mktemp("freihand") / "root", SPEC, workers=1)


@pytest.fixture
def root(written, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(written, tmp_path / "root")


def damage(root, name, change):
    path = root / f"{name}.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def replaced(values, index, value):
    return [value if i == index else v for i, v in enumerate(values)]


def entry(index, value):
    return lambda values: replaced(values, index, value)


BROKEN_LISTS = [
    ("training_K", lambda v: v[:-1], r"training_K\.json: expected 15 entries, found 14"),
    ("training_xyz", lambda v: {"a": 1}, r"training_xyz\.json: expected 15 entries, found 0"),
    ("training_scale", lambda v: [*v, 1.0], r"scale\.json: expected 15 entries, found 16"),
    ("evaluation_K", lambda v: v[:-1], r"evaluation_K\.json: expected 3 entries, found 2"),
    ("training_K", entry(3, [[1, 2], [3, 4]]), r"id 3: expected shape \(3, 3\), found \(2, 2\)"),
    ("training_xyz", entry(2, [[1, 2, 3], [4]]), "id 2: .* lists of unequal lengths"),
    ("training_scale", entry(2, [0.03]), r"id 2: expected shape \(\), found \(1,\)"),
    ("training_scale", entry(2, "long"), r"id 2: expected shape \(\), found .* no numbers"),
    ("training_xyz", lambda v: [[0.0, 0.0, 0.5]] * 15, r"id 0: expected shape \(21, 3\)"),
    ("training_K", entry(4, [[float("nan")] * 3] * 3), "id 4: expected a finite camera"),
    ("training_K", entry(4, [[0.0] * 3] * 3), "id 4: .* focal lengths above 0"),
    ("training_xyz", entry(1, [[0.0, 0.0, -0.5]] * 21), r"id 1: .*z > 0"),
    ("training_xyz", entry(1, [[float("inf")] * 3] * 21), "id 1: expected finite joints"),
    ("training_xyz", entry(1, [[None] * 3] * 21), "id 1: expected finite joints"),
    ("evaluation_xyz", entry(1, [[0.0, 0.0, -0.5]] * 21), r"evaluation_xyz\.json: id 1: .*z > 0"),
    ("training_scale", entry(6, float("nan")), "id 6: expected .* found nan m"),
]


@pytest.mark.parametrize(("name", "change", "message"), BROKEN_LISTS)
def test_a_broken_annotation_is_named_with_file_and_id(root, name, change, message):
    damage(root, name, change)
    for _ in range(2):  # the second time too: what is damaged is not kept
        with pytest.raises(DataError, match=message):
            FreihandReader(root)


def test_a_scale_that_is_not_the_bones_length_is_named_with_both_lengths(root):
    length = json.loads((root / "training_scale.json").read_text())[7]
    damage(root, "training_scale", entry(7, length + 0.002))
    message = rf"id 7: expected {length:.6f} m, .*, found {length + 0.002:.6f} m \(1 ids in all\)"
    with pytest.raises(DataError, match=message):
        FreihandReader(root)


def test_a_scale_of_fewer_digits_is_accepted(root):
    damage(root, "training_scale", lambda values: [round(value, 5) for value in values])
    assert len(FreihandReader(root)) == 18


def test_joints_that_belong_to_the_ids_before_are_noticed(root):
    damage(root, "training_xyz", lambda values: values[-1:] + values[:-1])
    with pytest.raises(DataError, match=r"id 0: expected .* do not belong together"):
        FreihandReader(root)


def test_text_that_is_no_json_is_named(root):
    (root / "training_K.json").write_text("[1,")
    with pytest.raises(DataError, match=r"training_K\.json: expected JSON"):
        FreihandReader(root)


def test_a_missing_list_is_named(root):
    (root / "training_scale.json").unlink()
    with pytest.raises(DataError, match=r"training_scale\.json: expected an annotation list"):
        FreihandReader(root)


@pytest.mark.parametrize("text", ["{", "{}"])
def test_a_damaged_procedural_json_is_named(root, text):
    (root / "procedural.json").write_text(text)
    with pytest.raises(DataError, match=r"procedural\.json"):
        FreihandReader(root)


def test_a_procedural_json_of_an_unknown_format_is_refused(root):
    path = root / "procedural.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 2}))
    with pytest.raises(DataError, match=r"procedural\.json[^$]*format_version[^$]*write the set"):
        FreihandReader(root)


def image_of(root, part="training", number=5):
    return root / part / "rgb" / f"{number:08d}.jpg"


def test_a_missing_image_is_named_and_shifts_no_other(written, root):
    image_of(root).unlink()
    reader, whole = FreihandReader(root), FreihandReader(written)
    with pytest.raises(DataError, match=r"00000005\.jpg: expected an image, found none"):
        reader[5]
    for row in (4, 6):
        assert np.array_equal(reader[row].image, whole[row].image)


def test_a_missing_evaluation_image_is_named(root):
    image_of(root, "evaluation", 1).unlink()
    with pytest.raises(DataError, match=r"evaluation/rgb/00000001\.jpg: expected an image"):
        FreihandReader(root)[16]


@pytest.mark.parametrize("keep", [0, 100, -40])
def test_a_truncated_image_is_named(root, keep):
    path = image_of(root)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"00000005\.jpg: expected a whole JPEG"):
        FreihandReader(root)[5]


def test_an_all_black_image_is_named(root):
    cv2.imwrite(str(image_of(root)), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(DataError, match=r"00000005\.jpg: .* all-black"):
        FreihandReader(root)[5]


def test_an_image_of_another_size_is_named(root):
    cv2.imwrite(str(image_of(root)), np.full((48, 80, 3), 90, np.uint8))
    with pytest.raises(DataError, match="expected 64 x 64 pixels, found 80 x 48"):
        FreihandReader(root)[5]


def test_without_procedural_json_the_official_counts_are_insisted_on(root):
    (root / "procedural.json").unlink()
    with pytest.raises(DataError, match=r"training_K\.json: expected 32560 entries, found 15"):
        FreihandReader(root)


def test_a_root_without_any_image_is_reported(root):
    for path in (root / "training" / "rgb").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="expected images in training/rgb, found none"):
        FreihandReader(root)
