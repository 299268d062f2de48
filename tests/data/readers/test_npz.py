"""Converted datasets: what the schema allows is read, what it does not is named."""

import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from handssl.data.packing import pack
from handssl.data.readers.npz import NpzReader
from handssl.data.readers.npz_file import FIELDS, schema
from handssl.data.sample import Reader
from handssl.errors import DataError

N, HEIGHT, WIDTH = 6, 40, 50
SPLIT = ["pretrain", "probe", "probe", "select", "test", "test"]
CAMERA = np.array([[60.0, 0, 24], [0, 62, 19], [0, 0, 1]])


def images(count=N, seed=0):
    """Smooth pictures, all different."""
    small = np.random.default_rng(seed).integers(20, 255, (count, 5, 6, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (WIDTH, HEIGHT)) for image in small])


def hands():
    """Joints in metres before a camera that sees them in the picture."""
    xyz = np.random.default_rng(1).normal(0, 0.02, (N, 21, 3))
    xyz[..., 2] += 0.5
    xyz[:, 9] = xyz[:, 0]
    xyz[:, 9, 1] += 0.09
    return xyz


def projected(xyz, camera=CAMERA):
    """Naive: joint by joint."""
    uv = np.zeros((*xyz.shape[:2], 2))
    for row, joint in itertools.product(range(len(xyz)), range(21)):
        x, y, z = xyz[row, joint]
        uv[row, joint] = camera[0, 0] * x / z + camera[0, 2], camera[1, 1] * y / z + camera[1, 2]
    return uv


def changed(values, index, value):
    values = np.array(values)
    values[index] = value
    return values


@pytest.fixture
def save(tmp_path):
    """Write a good file with some arrays changed; None takes one away."""

    def write(name="hands", how=np.savez, **changes):
        arrays = {
            "image": images(),
            "xyz": hands(),
            "unit": "m",
            "camera": CAMERA,
            "split": SPLIT,
            "group": [7, 7, 8, 9, 10, 10],
            "id": [30, 20, 10, 50, 40, 60],
        }
        path = tmp_path / f"{name}.npz"
        how(path, **{key: v for key, v in (arrays | changes).items() if v is not None})
        return path

    return write


@pytest.mark.parametrize("how", [np.savez, np.savez_compressed])
def test_what_is_saved_is_read_back(save, how):
    reader = NpzReader(save(how=how))
    assert isinstance(reader, Reader)
    uv = projected(hands())
    for row in range(N):
        sample = reader[row]
        assert np.array_equal(sample.image, images()[row])
        assert sample.image.flags.c_contiguous
        np.testing.assert_allclose(sample.xyz, hands()[row], atol=1e-15)
        np.testing.assert_allclose(sample.uv, uv[row], atol=1e-9)
        assert np.array_equal(sample.camera, CAMERA)
        assert (sample.side, sample.mirrored, sample.valid.all()) == ("right", False, True)
    assert [reader[row].id for row in range(N)] == [30, 20, 10, 50, 40, 60]
    assert [reader[row].group for row in range(N)] == [7, 7, 8, 9, 10, 10]
    assert {name: rows.tolist() for name, rows in reader.splits.items()} == {
        "pretrain": [0],
        "probe": [1, 2],
        "select": [3],
        "test": [4, 5],
    }
    with pytest.raises(IndexError):
        reader[N]


def test_images_saved_in_column_order_are_read_back(save):
    reader = NpzReader(save(image=np.asfortranarray(images())))
    assert np.array_equal(reader[4].image, images()[4])


def test_images_may_lie_beside_the_file(save, tmp_path):
    (tmp_path / "pictures").mkdir()
    names = [f"pictures/{row}.png" for row in range(N)]
    for name, image in zip(names, images(), strict=True):
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    reader = NpzReader(save(image=None, image_file=names))
    assert all(np.array_equal(reader[row].image, images()[row]) for row in range(N))
    (tmp_path / names[2]).unlink()
    with pytest.raises(DataError, match=r"pictures/2\.png: expected an image, found none"):
        reader[2]


def test_a_folder_of_files_is_one_dataset(save, tmp_path):
    save("a", id=None, group=None)
    save("b", id=None, group=None, image=images(seed=5))
    reader = NpzReader(tmp_path)
    assert len(reader) == 2 * N
    assert reader.splits["test"].tolist() == [4, 5, 10, 11]
    assert [(reader[row].id, reader[row].group) for row in (0, 11)] == [(0, 0), (11, 11)]
    assert np.array_equal(reader[7].image, images(seed=5)[1])
    assert reader[7].source.endswith("b.npz: row 1")


def test_without_labels_all_is_pretrain(tmp_path):
    np.savez(tmp_path / "a.npz", image=images(3))
    reader = NpzReader(tmp_path / "a.npz")
    assert {name: rows.tolist() for name, rows in reader.splits.items()} == {"pretrain": [0, 1, 2]}
    assert reader[2].uv is reader[2].xyz is reader[2].camera is None


def test_pixels_without_depth_are_kept_for_the_crop(save):
    path = save(xyz=None, unit=None, camera=None, uv=projected(hands()), split=None)
    sample = NpzReader(path)[3]
    np.testing.assert_allclose(sample.uv, projected(hands())[3])
    assert sample.xyz is None


def test_millimetres_become_metres(save):
    one, other = NpzReader(save()), NpzReader(save("mm", xyz=hands() * 1000, unit="mm"))
    np.testing.assert_allclose(other[2].xyz, one[2].xyz, atol=1e-12)
    np.testing.assert_allclose(other[2].uv, one[2].uv, atol=1e-9)


def test_each_sample_may_have_a_camera_of_its_own(save):
    cameras = np.stack([CAMERA + np.diag([row, row, 0.0]) for row in range(N)])
    found = NpzReader(save(camera=cameras))[5].uv
    np.testing.assert_allclose(found, projected(hands()[5:], cameras[5])[0], atol=1e-9)


def test_joints_in_the_order_of_interhand_are_put_in_ours(save):
    """InterHand counts every finger from the tip and puts the wrist last."""
    theirs = np.empty((N, 21, 3))
    valid, ours = np.ones((N, 21), dtype=bool), hands()
    for finger, place in itertools.product(range(5), range(4)):
        theirs[:, 4 * finger + place] = ours[:, 4 * finger + 4 - place]
    theirs[:, 20] = ours[:, 0]
    valid[:, 0] = False  # the tip of the thumb
    sample = NpzReader(save(xyz=theirs, valid=valid, joint_order="interhand"))[1]
    assert np.flatnonzero(~sample.valid).tolist() == [4]
    np.testing.assert_allclose(sample.xyz, changed(ours[1], 4, 0), atol=1e-15)


def test_labels_that_are_not_valid_are_zero_and_may_be_anything(save):
    xyz, valid = hands(), np.ones((N, 21), dtype=bool)
    xyz[2, 5], xyz[3, 8], valid[2, 5], valid[3, 8] = np.nan, [0, 0, -1], False, False
    reader = NpzReader(save(xyz=xyz, valid=valid))
    for row, joint in ((2, 5), (3, 8)):
        sample = reader[row]
        assert not sample.xyz[joint].any()
        assert not sample.uv[joint].any()
        assert np.flatnonzero(~sample.valid).tolist() == [joint]


def test_a_left_hand_becomes_a_right_one_and_still_projects_onto_its_pixels(save):
    reader = NpzReader(save(side=["right", "left"] * 3))
    sample, straight = reader[1], projected(hands())[1]
    assert (sample.side, sample.mirrored) == ("left", True)
    assert np.array_equal(sample.image, images()[1][:, ::-1])
    np.testing.assert_allclose(sample.uv[:, 0], WIDTH - 1 - straight[:, 0], atol=1e-9)
    np.testing.assert_allclose(projected(sample.xyz[None], sample.camera)[0], sample.uv, atol=1e-9)
    assert (reader[0].side, reader[0].mirrored) == ("right", False)


def test_pretrain_lists_the_images_of_probe_where_no_row_is_pretrain(save):
    splits = NpzReader(save(split=["probe"] * 3 + ["select", "test", "test"])).splits
    assert splits["pretrain"].tolist() == splits["probe"].tolist() == [0, 1, 2]


def test_a_group_may_be_in_pretrain_and_in_probe(save):
    assert NpzReader(save(group=[7, 7, 7, 9, 10, 10])).splits["probe"].tolist() == [1, 2]


def test_a_sample_may_be_changed_without_changing_the_next_one(save):
    reader = NpzReader(save())
    sample = reader[1]
    for values in (sample.image, sample.xyz, sample.uv, sample.camera, sample.valid):
        values[:] = 0
    assert np.array_equal(reader[1].image, images()[1])
    np.testing.assert_allclose(reader[1].xyz, hands()[1])
    assert reader[1].valid.all()


def test_the_fingerprint_follows_every_array(save):
    readers = [
        NpzReader(save()),
        NpzReader(save(image=changed(images(), (3, 2, 2, 0), 1))),
        NpzReader(save(xyz=hands() + 1e-6)),
        NpzReader(save(camera=CAMERA + np.diag([1e-3, 0, 0]))),
        NpzReader(save(side=["right"] * 5 + ["left"])),
        NpzReader(save(split=["probe", *SPLIT[1:]])),
    ]
    prints = {reader.fingerprint for reader in readers}
    assert len(prints) == len(readers)
    assert NpzReader(save()).fingerprint == readers[0].fingerprint
    assert all(len(text) == 32 for text in prints)


@pytest.mark.parametrize("how", [np.savez, np.savez_compressed])
def test_several_threads_read_the_same_as_one(tmp_path, how):
    for number in range(4):
        how(tmp_path / f"{number}.npz", image=images(8, seed=number))
    reader = NpzReader(tmp_path)
    order = np.random.default_rng(0).permutation(np.tile(np.arange(32), 6)).tolist()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: reader[row].image, order))
    expected = np.concatenate([images(8, seed=number) for number in range(4)])
    assert all(
        np.array_equal(image, expected[row]) for row, image in zip(order, found, strict=True)
    )


def test_threads_that_read_one_compressed_file_share_its_images(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", image=images(8))
    reader = NpzReader(tmp_path)
    unpacked, load = [], np.load
    monkeypatch.setattr(np, "load", lambda *a, **k: unpacked.append(1) or load(*a, **k))
    reader[0]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(reader.__getitem__, list(range(8)) * 4))
    assert len(unpacked) == 1


def test_a_reader_travels_to_another_process(save):
    reader = NpzReader(save())
    data = pickle.dumps(reader)
    assert len(data) < 1000
    assert np.array_equal(pickle.loads(data)[3].image, reader[3].image)


def test_it_is_packed_like_any_dataset(save, tmp_path):
    store = pack(NpzReader(save()), tmp_path / "store", crop_px=16, context=1.5, workers=2)
    assert dict(store.manifest.splits) == {"pretrain": 1, "probe": 2, "select": 1, "test": 2}
    assert store.split("probe").label("ids").tolist() == [20, 10]


VALID = np.ones((N, 21), dtype=bool)

MISTAKES = [
    ({"image": None}, "image, image_file: expected one of the two, found neither"),
    ({"image_file": ["x"] * N}, "image, image_file: expected one of the two, found both"),
    ({"image": images()[..., 0]}, "image: expected uint8 (N, H, W, 3), found uint8 (6, 40, 50)"),
    ({"image": images() / 255}, "image: expected uint8 (N, H, W, 3), found float64"),
    ({"xzy": 1}, "xzy: expected a known array; did you mean 'xyz'?"),
    ({"xyz": hands()[:, :20]}, "xyz: expected shape (N, 21, 3) with N = 6, found shape (6, 20, 3)"),
    ({"xyz": hands()[:5]}, "with N = 6, found shape (5, 21, 3)"),
    ({"xyz": np.full((N, 21, 3), "1")}, "xyz: expected float, found <U1"),
    ({"valid": np.ones((N, 21))}, "valid: expected bool, found float64"),
    ({"split": np.full(N, None)}, "expected a .npz without pickles"),
    ({"unit": None}, "unit: expected m or mm with xyz, found none"),
    ({"unit": "cm"}, "unit: expected m or mm with xyz, found cm"),
    ({"unit": "mm"}, "in the median sample, found 9e-05 m; is 'mm' the unit?"),
    (
        {"xyz": hands() * 1000},
        "xyz: expected 0.02 to 0.25 m from wrist to middle MCP in the median",
    ),
    ({"camera": None}, "camera: expected matrices with xyz, found none"),
    ({"camera": CAMERA.T}, "camera, row 0: expected finite numbers [[fx, s, cx], [0, fy, cy]"),
    ({"camera": np.diag([60.0, -60, 1])}, "camera, row 0: expected finite numbers [[fx, s, cx]"),
    (
        {"camera": changed([CAMERA] * N, (4, 0, 2), np.nan)},
        "camera, row 4: expected finite numbers",
    ),
    (
        {"xyz": changed(hands(), (3, 6), np.nan)},
        "xyz, row 3, index_pip: expected finite numbers where valid, found [nan, nan, nan]",
    ),
    (
        {"xyz": changed(hands(), (3, 8, 2), -0.5)},
        "xyz, row 3, index_tip: expected joints in front of the camera (z > 0)",
    ),
    (
        {"uv": projected(hands()) + changed(np.zeros((N, 21, 2)), (2, 4, 1), 2.1)},
        "uv, row 2, thumb_tip: expected pixels within 2 px of xyz projected by camera, found 2.1",
    ),
    ({"uv": np.full((N, 21, 2), 500.0)}, "(and 125 more)"),
    ({"side": ["right"] * 5 + ["r"]}, "side, row 5: expected one of right, left, found r"),
    ({"split": ["train", *SPLIT[1:]]}, "split, row 0: expected one of pretrain, probe, select"),
    ({"joint_order": "mano"}, "joint_order: expected handssl or interhand, found mano"),
    ({"id": [1, 2, 3, -4, 5, 6]}, "id, row 3: expected 0 or more, found -4"),
    (
        {"id": [1, 2, 3, 4, 2, 6]},
        "expected an id for each sample, found 2 2 times: hands.npz, row 1 and hands.npz, row 4",
    ),
    (
        {"group": [7, 7, 8, 8, 10, 10]},
        "found group 8 in probe and select: hands.npz, row 2 and hands.npz, row 3",
    ),
    ({"group": [7, 8, 8, 9, 9, 10]}, "found group 9 in select and test"),
    ({"group": [10, 8, 8, 9, 11, 10]}, "found group 10 in pretrain and test"),
    (
        {"xyz": None, "unit": None, "camera": None},
        "split, row 1: expected pretrain, as there is no xyz, found probe (and 4 more)",
    ),
    (
        {"valid": changed(VALID, (4, 9), False)},
        "valid, row 4: expected wrist and middle_mcp outside pretrain",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_a_mistake_is_named_with_file_array_and_row(save, changes, message):
    path = save(**changes)
    with pytest.raises(DataError) as caught:
        NpzReader(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_pixels_may_differ_a_little_from_the_projection(save):
    given = projected(hands())
    given[..., 0] += 1.9
    np.testing.assert_allclose(NpzReader(save(uv=given))[2].uv, given[2])


def test_ids_must_be_in_every_file_or_in_none(tmp_path):
    np.savez(tmp_path / "a.npz", image=images(2), id=[1, 2])
    np.savez(tmp_path / "b.npz", image=images(2))
    with pytest.raises(DataError, match="expected 'id' in every file or in none"):
        NpzReader(tmp_path)


def test_ids_must_differ_between_files(tmp_path):
    np.savez(tmp_path / "a.npz", image=images(2), id=[1, 2])
    np.savez(tmp_path / "b.npz", image=images(2), id=[2, 3])
    with pytest.raises(DataError, match=r"a\.npz, row 1 and b\.npz, row 0"):
        NpzReader(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK not a zip", b"\x80\x04.", b"text"])
def test_a_file_that_is_no_npz_is_named(tmp_path, content):
    path = tmp_path / "hands.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"hands\.npz: expected a \.npz .* cannot read it"):
        NpzReader(path)


def test_a_single_array_is_refused(tmp_path):
    with (tmp_path / "hands.npz").open("wb") as file:
        np.save(file, images())
    with pytest.raises(DataError, match=r"save it with np\.savez"):
        NpzReader(tmp_path)


def test_a_cut_file_is_named(save):
    path = save()
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"hands\.npz: expected a \.npz .* cannot read it"):
        NpzReader(path)


def test_damaged_images_inside_a_compressed_file_are_named(save):
    path = save(how=np.savez_compressed)
    content = bytearray(path.read_bytes())
    middle = len(content) // 3  # the images come first and are the largest
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)
    reader = NpzReader(path)
    with pytest.raises(DataError, match=r"hands\.npz: expected a \.npz .* cannot read it"):
        reader[0]


def test_an_all_black_image_inside_is_damage(save):
    reader = NpzReader(save(image=changed(images(), 4, 5)))
    with pytest.raises(DataError, match=r"hands\.npz: row 4: id 40: .* all-black"):
        reader[4]


def test_a_root_without_files_says_what_it_holds(tmp_path):
    with pytest.raises(DataError, match="found nothing"):
        NpzReader(tmp_path / "none")
    (tmp_path / "images.tar").touch()
    with pytest.raises(DataError, match=r"expected a \.npz or a folder of them, found images\.tar"):
        NpzReader(tmp_path)


def test_arrays_without_rows_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="expected samples, found arrays without rows"):
        NpzReader(tmp_path / "a.npz")


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_of_the_schema_is_ignored(save, name):
    with pytest.raises(DataError, match=name):
        NpzReader(save(**{name: np.full(N, 1 + 1j)}))


def test_the_schema_names_every_array():
    assert [line.split("`")[1] for line in schema().splitlines()[2:]] == list(FIELDS)
