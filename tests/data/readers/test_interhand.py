"""InterHand2.6M trees, there and back; left hands become right ones; damage is named."""

import importlib
import json
import pickle
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from handssl.data.procedural.interhand_drawing import draw_image
from handssl.data.procedural.interhand_scenes import make_frame, make_views
from handssl.data.procedural.interhand_spec import InterhandTreeSpec
from handssl.data.procedural.interhand_tree import write_interhand
from handssl.data.procedural.mesh import load_mesh
from handssl.data.readers.interhand import InterhandReader
from handssl.data.sample import Reader
from handssl.errors import DataError, InputError
from handssl.randomness import numpy_generator
from tests.reference.interhand import single_hands

SPEC = InterhandTreeSpec(train=2, val=1, test=1, frames=8, colour=2, grey=1, image_px=(128, 84))
RELEASED = ("train", "val", "test")
HIDDEN_WRIST = 1  # the eighth frame of a capture is a left hand without wrist


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    told = []
    root = tmp_path_factory.mktemp("interhand") / "root"
    write_interhand(root, SPEC, workers=1, on_progress=lambda done, total: told.append(done))
    assert told == list(range(3, 97, 3))
    return root


@pytest.fixture
def root(written, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(written, tmp_path / "root")


def annotation_file(root, kind, released="train"):
    return root / "annotations" / released / f"InterHand2.6M_{released}_{kind}.json"


def change(root, kind, edit, released="train"):
    path = annotation_file(root, kind, released)
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def by_id(reader):
    return {sample.id: sample for sample in map(reader.__getitem__, range(len(reader)))}


def test_a_tree_is_a_reader_with_all_four_splits(written):
    reader = InterhandReader(written)
    assert isinstance(reader, Reader)
    assert reader.name == "interhand"
    frames_single = 6 * 3  # of eight frames two show both hands
    assert reader.released == {"train": 2 * frames_single, "val": 18, "test": 18}
    assert {name: len(rows) for name, rows in reader.splits.items()} == {
        "pretrain": 2 * (frames_single - 3 * HIDDEN_WRIST),
        "probe": 2 * (frames_single - 3 * HIDDEN_WRIST - 3),
        "select": 15,
        "test": 15,
    }
    assert len(reader) == 60
    for index in (-1, 60):
        with pytest.raises(IndexError):
            reader[index]


def test_labels_equal_the_official_projection(written):
    samples = by_id(InterhandReader(written))
    seen = 0
    for number, released in enumerate(RELEASED):
        for image, hand_type, hand in single_hands(written, released):
            sample = samples.get(image["id"] + 10**10 * number)
            if hand[0] is None:
                assert sample is None
                continue
            seen += 1
            assert (sample.side, sample.mirrored) == (hand_type, hand_type == "left")
            assert sample.image.shape == (image["height"], image["width"], 3)
            for joint, expected in enumerate(hand):
                assert sample.valid[joint] == (expected is not None)
                if expected is None:
                    assert not sample.uv[joint].any() and not sample.xyz[joint].any()
                    continue
                (x, y, z), (u, v) = expected
                if hand_type == "left":
                    x, u = -x, image["width"] - 1 - u
                np.testing.assert_allclose(
                    sample.xyz[joint], np.array([x, y, z]) / 1000, atol=1e-12
                )
                np.testing.assert_allclose(sample.uv[joint], (u, v), atol=1e-9)
    assert seen == len(samples) == 60


def test_camera_and_joints_still_give_the_pixels_after_mirroring(written):
    for sample in by_id(InterhandReader(written)).values():
        projected = sample.xyz[sample.valid] @ sample.camera.T
        np.testing.assert_allclose(
            projected[:, :2] / projected[:, 2:], sample.uv[sample.valid], atol=1e-9
        )


def test_the_picture_of_a_left_hand_is_mirrored_and_of_a_right_hand_is_not(written):
    for sample in by_id(InterhandReader(written)).values():
        stored = cv2.cvtColor(cv2.imread(sample.source), cv2.COLOR_BGR2RGB)
        expected = stored[:, ::-1] if sample.side == "left" else stored
        assert np.array_equal(sample.image, expected)


@pytest.mark.parametrize("side", ["right", "left"])
def test_joints_lie_on_the_hand_in_the_picture(written, side):
    # The room is darker than the skin, so pixels at joints are brighter than the rest.
    contrasts = []
    for sample in by_id(InterhandReader(written)).values():
        if sample.side == side:
            x, y = np.round(sample.uv[sample.valid]).astype(int).T
            contrasts.append(sample.image[y, x].mean() - np.median(sample.image))
    assert min(contrasts) > 10
    assert np.mean(contrasts) > 50  # 39 for left hands whose joints are not mirrored


def test_mirrored_left_hands_have_the_chirality_of_right_ones(written):
    reader = InterhandReader(written, complete=True)
    samples = by_id(reader).values()
    sides = {sample.side: [] for sample in samples}
    for sample in samples:
        across, along = sample.xyz[5] - sample.xyz[17], sample.xyz[9] - sample.xyz[0]
        # Fingers bend to the palm: the sign of this volume differs between right and left.
        palm = np.cross(across, along)
        tips = sample.xyz[[8, 12, 16, 20]] - sample.xyz[[5, 9, 13, 17]]
        sides[sample.side].append(np.sign(tips @ palm).sum())
    assert sides.keys() == {"right", "left"}
    assert np.sign(np.median(sides["right"])) == np.sign(np.median(sides["left"])) != 0


def test_ids_are_unique_and_no_capture_is_in_two_released_splits(written):
    reader = InterhandReader(written)
    assert len(by_id(reader)) == len(reader)
    groups = {
        split: {reader[int(row)].group for row in rows} for split, rows in reader.splits.items()
    }
    assert groups == {"pretrain": {0, 1}, "probe": {0, 1}, "select": {1000}, "test": {2000}}
    assert set(reader.splits["probe"]) < set(reader.splits["pretrain"])
    assert all(reader[int(row)].valid.all() for row in reader.splits["probe"])


def test_the_older_tree_gives_the_same_samples(root):
    new = InterhandReader(root)
    older = root.with_name("older")
    (older / "annotations" / "all").mkdir(parents=True)
    for path in root.glob("annotations/*/*.json"):
        shutil.copy(path, older / "annotations" / "all")
    (older / "images").symlink_to(root / "images")
    old = InterhandReader(older)
    assert old.fingerprint == new.fingerprint
    assert len(old) == len(new)
    for index in range(0, len(new), 7):
        assert old[index].id == new[index].id
        assert np.array_equal(old[index].uv, new[index].uv)
        assert np.array_equal(old[index].image, new[index].image)


def test_the_order_of_images_and_annotations_does_not_matter(root):
    before = InterhandReader(root)

    def reverse(values):
        values["images"].reverse()
        values["annotations"].sort(key=lambda entry: entry["image_id"])

    change(root, "data", reverse)
    assert InterhandReader(root).fingerprint == before.fingerprint


def test_splits_that_are_not_on_disk_are_left_out(root):
    shutil.rmtree(root / "images" / "train")  # annotations of all splits come in one archive
    shutil.rmtree(root / "annotations" / "test")
    reader = InterhandReader(root)
    assert set(reader.splits) == {"select"}
    assert reader[0].group == 1000


@pytest.mark.parametrize(
    ("options", "keep"),
    [
        ({"complete": True}, lambda sample: sample.valid.all()),
        ({"cameras": "colour"}, lambda sample: "/cam400" in sample.source),
        ({"cameras": "grey"}, lambda sample: "/cam410" in sample.source),
        (
            {"cameras": "grey", "complete": True},
            lambda sample: "/cam410" in sample.source and sample.valid.all(),
        ),
    ],
)
def test_an_option_keeps_what_it_names_and_nothing_else(written, options, keep):
    expected = {number for number, s in by_id(InterhandReader(written)).items() if keep(s)}
    found = InterhandReader(written, **options)
    assert set(by_id(found)) == expected
    assert found.fingerprint != InterhandReader(written).fingerprint


def test_every_second_frame_and_camera_of_each_split_remain(written):
    everything = InterhandReader(written)
    frames = InterhandReader(written, frames_every=2)
    cameras = InterhandReader(written, cameras_every=3)
    assert len(frames) == len(everything) * 10 // 20 + 3  # five frames of val give three
    assert len(cameras) == len(everything) // 3
    for reader in (frames, cameras):
        assert set(by_id(reader)) < set(by_id(everything))
        assert set(reader.splits) == set(everything.splits)


def test_grey_cameras_give_three_equal_channels(written):
    for sample in by_id(InterhandReader(written, cameras="grey")).values():
        assert np.ptp(sample.image.astype(int), axis=2).max() == 0


def test_a_reader_goes_to_another_process_without_its_arrays(written):
    reader = InterhandReader(written, cameras="grey")
    sent = pickle.dumps(reader)
    assert len(sent) < 2_000
    other = pickle.loads(sent)
    assert (other.fingerprint, len(other)) == (reader.fingerprint, len(reader))


def test_the_second_opening_does_not_parse_again(written, monkeypatch):
    first = InterhandReader(written)

    def refuse(path):
        raise AssertionError(f"{path} was parsed again")

    index = importlib.import_module("handssl.data.readers.interhand.index")
    monkeypatch.setattr(index, "read_cameras", refuse)
    second = InterhandReader(written)
    assert second.fingerprint == first.fingerprint
    assert np.array_equal(second[3].uv, first[3].uv)


def test_another_label_gives_another_fingerprint(root):
    before = InterhandReader(root).fingerprint

    def move(values):
        values["0"]["12000"]["world_coord"][3][0] += 0.001

    change(root, "joint_3d", move)
    assert InterhandReader(root).fingerprint != before


# What is wrong with images is found when they are read.


def image_of(reader, index=0):
    path = reader.root / reader[index].source
    return reader, path


def test_a_missing_image_is_named(root):
    reader, path = image_of(InterhandReader(root))
    path.unlink()
    with pytest.raises(DataError, match=r"image12000\.jpg: expected an image, found none"):
        reader[0]


def test_a_truncated_image_is_named(root):
    reader, path = image_of(InterhandReader(root))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"image12000\.jpg: expected a whole JPEG"):
        reader[0]


def test_an_all_black_image_is_named(root):
    reader, path = image_of(InterhandReader(root))
    cv2.imwrite(str(path), np.zeros_like(reader[0].image))
    with pytest.raises(DataError, match=r"image12000\.jpg: .*found an all-black image"):
        reader[0]


def test_an_image_of_another_size_is_named(root):
    reader, path = image_of(InterhandReader(root))
    cv2.imwrite(str(path), np.full((84, 120, 3), 90, dtype=np.uint8))
    with pytest.raises(DataError, match="expected 128 x 84 pixels, found 120 x 84"):
        reader[0]


# What is wrong with annotations is found at opening.


def without_camera(values):
    for parameter in values["0"].values():
        del parameter["400002"]


def put(*keys, value):
    """Return an edit that sets one place of nested lists and dicts."""

    def edit(values):
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = value

    return edit


def first_single(values):
    return next(a for a in values["annotations"] if a["image_id"] == 0)


def shorten_joint_valid(values):
    entry = first_single(values)
    entry["joint_valid"] = entry["joint_valid"][:21]


def rename_hand_type(values):
    first_single(values)["hand_type"] = "both"


def double_annotation(values):
    values["annotations"].append(first_single(values))


def orphan(values):
    first_single(values)["image_id"] = 777


def behind(values):
    values["0"]["12000"]["world_coord"] = [[1e6, 1e6, 1e6]] * 42
    values["0"]["12000"]["world_coord"][20] = [-1e6, -1e6, -1e6]


BROKEN = [
    ("camera", without_camera, r"_camera\.json: id 0: expected a camera for Capture0/.*cam400002"),
    ("camera", lambda v: v["0"]["focal"].pop("400002"), "capture 0 camera 400002: expected focal"),
    ("camera", lambda v: v["0"].pop("camrot"), "capture 0: expected camrot, found none"),
    (
        "camera",
        put("0", "campos", "400002", 1, value=1e999),
        r"_camera\.json: (capture 0 camera 400002: expected a finite campos|expected JSON)",
    ),
    ("camera", put("0", "focal", "400002", value=[0, 9]), "expected a positive focal"),
    ("camera", put("0", "camrot", "400002", value=[[1, 0]]), r"camrot of shape \(3, 3\), found"),
    (
        "joint_3d",
        lambda v: v["0"].pop("12000"),
        r"_joint_3d\.json: id 0: expected a frame with world_coord for .*image12000\.jpg",
    ),
    (
        "joint_3d",
        put("1", "12006", "world_coord", value=[[1.0, 2.0, 3.0]] * 21),
        r"capture 1 frame 12006: expected world_coord of shape \(42, 3\), found \(21, 3\)",
    ),
    (
        "joint_3d",
        put("1", "12006", "joint_valid", value=[[1]] * 41),
        r"frame 12006: expected joint_valid of shape \(42, 1\), found \(41, 1\)",
    ),
    ("joint_3d", put("1", "12006", value=None), "capture 1 frame 12006: expected an object"),
    ("joint_3d", behind, r"_joint_3d\.json: id \d+: expected valid joints in front of the camera"),
    ("joint_3d", put("x", value={}), "expected a whole number as key, found 'x'"),
    (
        "joint_3d",
        lambda v: v.update({"00": v["0"]}),
        "capture 00 frame 12000: expected every frame once, found it again",
    ),
    ("data", shorten_joint_valid, r"id 0: expected joint_valid of shape \(42, 1\), found \(21"),
    ("data", rename_hand_type, r"_data\.json: id 0: expected .* right, left or inter.*'both'"),
    ("data", double_annotation, "id 0: expected one annotation of one hand, found several"),
    ("data", orphan, "id 777: expected an image for the annotation, found none"),
    ("data", lambda v: v["images"][5].pop("width"), "id 5: expected an image with .*'width'"),
    ("data", put("images", 0, "height", value=0), "id 0: expected a size in pixels"),
    ("data", put("images", 0, "id", value=1), "id 1: expected one image, found several"),
    ("data", put("images", 0, "id", value=10**10), "id 10000000000: expected numbers below 10"),
    ("data", put("images", 0, "width", value="128"), "id 0: expected an image with .*TypeError"),
    ("data", put("annotations", 0, "image_id", value=10**11), "expected a whole number below 10"),
    ("data", put("annotations", value=[]), "expected images of one hand, found none"),
    ("data", put("images", value=[3]), "expected objects in 'images', found 3"),
]


@pytest.mark.parametrize(("kind", "edit", "message"), BROKEN)
def test_a_broken_annotation_is_named_with_file_and_id(root, kind, edit, message):
    change(root, kind, edit)
    with pytest.raises(DataError, match=message) as caught:
        InterhandReader(root)
    assert f"_{kind}.json" in str(caught.value)


@pytest.mark.parametrize("kind", ["data", "camera", "joint_3d"])
def test_text_that_is_no_json_is_named(root, kind):
    path = annotation_file(root, kind)
    path.write_text(path.read_text()[:-30])
    with pytest.raises(DataError, match=rf"_{kind}\.json: expected JSON"):
        InterhandReader(root)


def test_a_missing_annotation_file_is_named(root):
    annotation_file(root, "joint_3d", "val").unlink()
    with pytest.raises(DataError, match=r"val_joint_3d\.json: expected annotations, found no"):
        InterhandReader(root)


def test_a_wrong_root_says_what_is_there_and_what_may_be_meant(root):
    nested = root / "images"
    for wrong in (root.parent, nested, root / "annotations"):
        with pytest.raises(
            DataError, match=r"expected annotations/.*found .* did you mean .*root\?"
        ):
            InterhandReader(wrong)
    with pytest.raises(DataError, match="found nothing"):
        InterhandReader(root / "a" / "b" / "c")


def test_options_that_leave_nothing_are_refused(root):
    without_grey = InterhandTreeSpec(train=1, val=0, test=0, frames=2, grey=0, image_px=(64, 48))
    bare = write_interhand(root.with_name("bare"), without_grey, workers=1)
    with pytest.raises(InputError, match="expected images for 'pretrain', found none"):
        InterhandReader(bare, cameras="grey")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"frames_every": 0}, "frames_every"), ({"cameras": "gray"}, "did you mean 'grey'")],
)
def test_a_wrong_option_is_reported(written, options, message):
    with pytest.raises(InputError, match=message):
        InterhandReader(written, **options)


def test_without_ijson_the_message_says_what_to_install(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "ijson", None)
    with pytest.raises(InputError, match="pip install ijson"):
        InterhandReader(written)


# The writer.


def test_a_tree_that_is_there_is_kept_and_another_is_refused(root):
    before = annotation_file(root, "data").stat().st_mtime_ns
    write_interhand(root, SPEC, workers=1)
    assert annotation_file(root, "data").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="choose another folder"):
        write_interhand(root, SPEC.merged({"seed": 5}), workers=1)
    with pytest.raises(DataError, match="found something else"):
        write_interhand(root / "images", SPEC, workers=1)


def test_processes_write_the_same_tree(written, tmp_path):
    spec = InterhandTreeSpec(train=1, val=0, test=0, frames=2, image_px=(64, 48))
    one = write_interhand(tmp_path / "one", spec, workers=1)
    two = write_interhand(tmp_path / "two", spec.merged({"layout": "older"}), workers=2)
    images = sorted(path.relative_to(one) for path in one.rglob("*.jpg"))
    assert len(images) == 6
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in images)
    assert (two / "annotations" / "all" / "InterHand2.6M_train_data.json").is_file()
    assert InterhandReader(two).fingerprint == InterhandReader(one).fingerprint
    assert not list(tmp_path.glob("*.partial"))


def test_interacting_frames_show_both_hands_of_opposite_chirality():
    world = make_frame(SPEC, "train", 0, 2)
    assert world.hand_type == "interacting"
    assert world.valid.all()
    assert [mirrored for _, mirrored in world.hands] == [False, True]
    # Mirroring turns a mesh inside out: its signed volume changes sign.
    corners = [skin[load_mesh().faces] for skin in np.split(world.vertices_mm, 2)]
    right, left = (np.linalg.det(corner).sum() for corner in corners)
    assert right > 0 > left


def test_views_are_rigid_and_look_at_the_hand():
    for view in make_views(SPEC, "val", 0):
        np.testing.assert_allclose(view.rotation @ view.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(view.rotation) > 0
        centre = view.rotation @ -view.position_mm
        np.testing.assert_allclose(centre[:2], 0.0, atol=1e-9)
        assert 900 < centre[2] < 1200


def test_a_left_hand_seen_in_a_mirror_is_lit_from_outside():
    # An inside-out mesh would be drawn by its far side, and hide the joints' own skin.
    world, (view, *_) = make_frame(SPEC, "train", 0, 1), make_views(SPEC, "train", 0)
    image = draw_image(world, view, numpy_generator("test"))
    hands = tuple((subject, not mirrored) for subject, mirrored in world.hands)
    turned = world.__class__(**{**vars(world), "hands": hands})
    inside_out = draw_image(turned, view, numpy_generator("test"))
    assert np.abs(image.astype(int) - inside_out).max() > 20


# The size of the real thing.

OPENER = """
import resource, sys
from pathlib import Path
from handssl.data.readers.interhand import InterhandReader
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reader = InterhandReader(Path(sys.argv[1]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(reader), before * 1024, after * 1024, len(reader[0].uv))
"""


def open_in_a_process(root):
    done = subprocess.run(
        [sys.executable, "-c", OPENER, str(root)], capture_output=True, text=True, check=True
    )
    return tuple(map(int, done.stdout.split()))


def write_many(root, images, cameras):
    """Stream the annotations of a huge split to disk; one picture serves the first image."""
    frames = images // cameras
    folder = root / "annotations" / "train"
    folder.mkdir(parents=True)
    names = [f"{400_000 + n}" for n in range(cameras)]
    camera = {
        "campos": {name: [0.0, 0.0, -1000.0] for name in names},
        "camrot": {name: np.eye(3).tolist() for name in names},
        "focal": {name: [1260.0, 1260.0] for name in names},
        "princpt": {name: [256.0, 167.0] for name in names},
    }
    annotation_file(root, "camera").write_text(json.dumps({"0": camera}))
    valid = json.dumps([[1]] * 42)
    with annotation_file(root, "joint_3d").open("w") as file:
        for frame in range(frames):
            world = np.random.default_rng(frame).normal(0, 50, (42, 3)).round(4).tolist()
            entry = f'{{"world_coord": {json.dumps(world)}, "joint_valid": {valid}}}'
            file.write(('{"0": {' if frame == 0 else ", ") + f'"{frame}": {entry}')
        file.write("}}")
    with annotation_file(root, "data").open("w") as file:
        file.write('{"images": [')
        for number in range(images):
            frame, view = divmod(number, cameras)
            entry = {
                "id": number,
                "file_name": f"Capture0/0000_many/cam{names[view]}/image{frame}.jpg",
                "width": 512,
                "height": 334,
                "capture": 0,
                "camera": names[view],
                "frame_idx": frame,
            }
            file.write(", " * (number > 0) + json.dumps(entry))
        file.write('], "annotations": [')
        for number in range(images):
            file.write(
                ", " * (number > 0) + f'{{"id": {number}, "image_id": {images - 1 - number}, '
                f'"joint_valid": {valid}, "hand_type": "right"}}'
            )
        file.write("]}")
    picture = root / "images" / "train" / "Capture0" / "0000_many" / f"cam{names[0]}" / "image0.jpg"
    picture.parent.mkdir(parents=True)
    cv2.imwrite(str(picture), np.full((334, 512, 3), 90, dtype=np.uint8))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_688_thousand_hands_open_from_the_cache_in_little_memory(tmp_path):
    images = 688_000
    write_many(tmp_path / "root", images, cameras=80)
    count, before, after, _ = open_in_a_process(tmp_path / "root")
    assert count == images
    assert after - before < 1.5e9  # parsing
    count, before, after, joints = open_in_a_process(tmp_path / "root")
    assert (count, joints) == (images, 21)
    assert after - before < 0.4e9  # from the cache
    cached = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.npy"))
    assert cached < 100e6
