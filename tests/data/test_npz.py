"""Converted datasets: what the schema allows is read, what it does not is named."""

import cv2
import numpy as np
import pytest

from handssl.data.npz import NpzReader
from handssl.data.npz_schema import FIELDS, schema
from handssl.errors import DataError

INTERHAND = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]


@pytest.fixture
def arrays(blob_dataset):
    """Five labelled images as a user would have them."""
    samples = [blob_dataset(probe=5)[index] for index in range(5)]
    return {
        "image": np.stack([sample.image for sample in samples]),
        "xyz": np.stack([sample.xyz for sample in samples]),
        "camera": np.stack([sample.camera for sample in samples]),
        "unit": np.array("m"),
        "split": np.array(["pretrain", "probe", "probe", "select", "test"]),
    }


@pytest.fixture
def saved(tmp_path):
    def save(arrays, name="hands.npz"):
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save


def test_a_file_is_read_with_its_splits(saved, arrays, blob_dataset):
    reader, source = NpzReader(saved(arrays)), blob_dataset(probe=5)
    assert {name: rows.tolist() for name, rows in reader.splits.items()} == {
        "pretrain": [0],
        "probe": [1, 2],
        "select": [3],
        "test": [4],
    }
    for index in range(5):
        assert np.array_equal(reader[index].image, source[index].image)
        np.testing.assert_allclose(reader[index].uv, source[index].uv)
        np.testing.assert_allclose(reader[index].xyz, source[index].xyz)


def test_a_folder_of_files_is_one_dataset(saved, arrays, tmp_path):
    saved(arrays, "a.npz"), saved(arrays, "b.npz")
    reader = NpzReader(tmp_path)
    assert len(reader) == 10
    assert reader.splits["test"].tolist() == [4, 9]
    assert [reader[i].id for i in (0, 9)] == [0, 9]
    assert np.array_equal(reader[7].image, reader[2].image)
    assert reader[7].source.endswith("b.npz: row 2")


def test_images_may_lie_beside_the_file(saved, arrays, tmp_path):
    images = arrays.pop("image")
    (tmp_path / "rgb").mkdir()
    names = [f"rgb/{index}.png" for index in range(5)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    reader = NpzReader(saved(arrays | {"image_file": np.array(names)}))
    assert all(np.array_equal(reader[i].image, images[i]) for i in range(5))
    (tmp_path / names[3]).unlink()
    with pytest.raises(DataError, match=r"rgb/3\.png: expected an image, found none"):
        reader[3]


def test_units_joint_order_and_shared_cameras_are_brought_to_ours(saved, arrays):
    plain = NpzReader(saved(arrays, "a.npz"))
    theirs = np.empty_like(arrays["xyz"])
    theirs[:, INTERHAND] = arrays["xyz"] * 1000
    changed = arrays | {
        "xyz": theirs,
        "unit": np.array("mm"),
        "joint_order": np.array("interhand"),
        "camera": arrays["camera"][0],
    }
    reader = NpzReader(saved(changed, "b.npz"))
    for index in range(5):
        np.testing.assert_allclose(reader[index].xyz, plain[index].xyz)
        np.testing.assert_allclose(reader[index].uv, plain[index].uv)


def test_left_hands_become_right_ones_and_still_project_onto_their_pixels(saved, arrays):
    sides = np.array(["left", "right", "left", "right", "right"])
    reader, plain = NpzReader(saved(arrays | {"side": sides}, "a.npz")), NpzReader(saved(arrays))
    hand = reader[2]
    assert (hand.side, hand.mirrored, reader[1].mirrored) == ("left", True, False)
    assert np.array_equal(hand.image, plain[2].image[:, ::-1])
    homogeneous = hand.xyz @ hand.camera.T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], hand.uv)
    np.testing.assert_allclose(hand.uv[:, 0], 63 - plain[2].uv[:, 0])


def test_invalid_joints_may_be_anything(saved, arrays):
    valid = np.ones((5, 21), dtype=bool)
    valid[2, 4] = False
    xyz = arrays["xyz"].copy()
    xyz[2, 4] = np.nan
    hand = NpzReader(saved(arrays | {"xyz": xyz, "valid": valid}))[2]
    assert not hand.valid[4]
    assert hand.xyz[4].tolist() == [0, 0, 0] and hand.uv[4].tolist() == [0, 0]


def test_unlabelled_images_are_pretrained_on(saved, arrays):
    reader = NpzReader(saved({"image": arrays["image"]}))
    assert reader.splits["pretrain"].tolist() == [0, 1, 2, 3, 4]
    assert reader[0].uv is None


def test_the_fingerprint_follows_every_array(saved, arrays):
    prints = {NpzReader(saved(arrays, "x.npz")).fingerprint}
    for name in ("image", "xyz", "camera"):
        changed = arrays[name].copy()
        changed.flat[0] += 1
        if name == "camera":
            changed[0, 0, 1] = 0.001
        prints.add(NpzReader(saved(arrays | {name: changed}, "x.npz")).fingerprint)
    assert len(prints) == 4


def changed(name, row, value):
    def change(arrays):
        array = arrays[name].copy()
        array[row] = value
        return arrays | {name: array}

    return change


def without(name):
    return lambda arrays: {key: value for key, value in arrays.items() if key != name}


def added(name, value):
    return lambda arrays: arrays | {name: np.asarray(value)}


MISTAKES = [
    (without("unit"), "unit: expected it beside xyz, found none"),
    (without("camera"), "camera: expected it beside xyz, found none"),
    (without("image"), "image, image_file: expected one of the two, found both or none"),
    (added("unit", "cm"), "unit: expected m or mm, found cm"),
    (added("joint_order", "mano"), "joint_order: expected handssl or interhand, found mano"),
    (added("xzy", 1), "xzy: expected a known array; did you mean 'xyz'?"),
    (added("xyz", np.ones((4, 21, 3))), r"xyz: expected shape (N, 21, 3) with N = 5"),
    (added("valid", np.ones((5, 21))), "valid: expected bool, found float64"),
    (changed("xyz", (3, 2), np.nan), "xyz, row 3: expected finite numbers where valid"),
    (changed("xyz", (1, 2, 2), -0.5), "xyz, row 1: expected joints before the camera (z > 0)"),
    (changed("camera", 4, np.inf), "camera, row 4: expected finite numbers"),
    (added("uv", np.zeros((5, 21, 2))), "uv, row 0: expected pixels within 2 px of xyz projected"),
    (changed("split", 2, "train"), "split, row 2: expected one of pretrain, probe, select, test"),
    (added("side", ["r"] * 5), "side, row 0: expected one of right, left, found r"),
    (added("id", [0, 1, 2, 3, 3]), "expected an id for each sample, found 3 2 times"),
    (added("id", [0, 1, -2, 3, 4]), "id, row 2: expected 0 or more, found -2"),
    (added("group", [0, 1, 2, 2, 4]), "found group 2 in probe and select"),
    (added("image", np.zeros((5, 8, 8), np.uint8)), "image: expected uint8 (N, H, W, 3)"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_a_mistake_is_named_with_file_array_and_row(saved, arrays, change, message):
    with pytest.raises(DataError) as caught:
        NpzReader(saved(change(arrays)))
    assert message in str(caught.value)
    assert "hands.npz" in str(caught.value)


def test_a_group_may_be_in_pretrain_and_in_probe(saved, arrays):
    NpzReader(saved(arrays | {"group": np.array([7, 7, 7, 8, 9])}))


def test_pickles_are_not_opened(saved, tmp_path):
    with pytest.raises(DataError, match=r"expected a \.npz without pickles"):
        NpzReader(saved({"image_file": np.array([{"a": 1}], dtype=object)}))
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(DataError, match="cannot read it"):
        NpzReader(tmp_path / "text.npz")
    with pytest.raises(DataError, match="found nothing"):
        NpzReader(tmp_path / "none")


def test_an_all_black_image_inside_is_damage(saved, arrays):
    reader = NpzReader(saved(changed("image", 3, 0)(arrays)))
    with pytest.raises(DataError, match=r"hands\.npz: row 3: id 3: .* all-black"):
        reader[3]


def test_the_schema_names_every_array():
    assert [line.split("`")[1] for line in schema().splitlines()[2:]] == list(FIELDS)
