"""Procedural hands: pure functions of their index, exact labels, disjoint splits."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from handssl.data.procedural import ProceduralReader, ProceduralSpec, make_sample
from handssl.data.procedural.articulation import _kinematics, _stretch, bend
from handssl.data.procedural.dataset import make_hand
from handssl.data.procedural.mesh import load_mesh
from handssl.data.procedural.poses import (
    FLEXION_LIMITS_DEG,
    GESTURES,
    SPREAD_LIMITS_DEG,
    WRIST_LIMITS_DEG,
    HandPose,
    draw_pose,
)
from handssl.data.procedural.scene.light import Light, draw_light
from handssl.data.procedural.scene.rendering import Figure, rasterise, render
from handssl.data.procedural.subjects import SUBJECTS, draw_subject, subject_numbers
from handssl.data.sample import SPLITS, SplitView
from handssl.errors import InputError
from handssl.pose import align_procrustes
from handssl.randomness import numpy_generator
from tests.reference import procedural as naive

SPEC = ProceduralSpec(pretrain=40, probe=40, select=40, test=40, image_px=84, versions=2)
FLAT = HandPose(np.zeros((5, 3)), np.zeros(5), np.zeros(2))


@pytest.fixture(scope="module")
def samples():
    return [make_sample(SPEC, split, index) for split in SPLITS for index in range(40)]


@pytest.fixture(scope="module")
def hands():
    return [make_hand(SPEC, split, index) for split in SPLITS for index in range(40)]


def _in_another_process(spec, split, index):
    return make_sample(spec, split, index).image.tobytes()


def test_an_image_is_the_same_in_any_order_and_in_another_process():
    alone = make_sample(SPEC, "probe", 7).image.tobytes()
    make_sample(SPEC, "test", 3)
    assert make_sample(SPEC, "probe", 7).image.tobytes() == alone
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(_in_another_process, SPEC, "probe", 7).result(60) == alone


def test_seed_and_split_each_give_other_hands():
    base = make_sample(SPEC, "probe", 7)
    other_seed = make_sample(SPEC.merged({"seed": 1}), "probe", 7)
    assert not np.array_equal(base.xyz, other_seed.xyz)
    assert not np.array_equal(base.xyz, make_sample(SPEC, "select", 7).xyz)


def test_no_two_splits_share_a_subject_a_light_or_a_background(hands):
    numbers = [set(subject_numbers(split)) for split in (*SPLITS, "evaluation")]
    assert sum(map(len, numbers)) == len(set.union(*numbers)) == sum(SUBJECTS.values())
    assert len({round(draw_subject(0, n).size, 9) for n in set.union(*numbers)}) == sum(
        SUBJECTS.values()
    )
    for row in range(len(SPLITS)):
        used = {hand.subject for hand in hands[40 * row : 40 * (row + 1)]}
        assert used <= numbers[row]
        assert len(used) > 10
    for name in ("light", "background"):
        first = {
            float(
                numpy_generator(
                    name, 0, split, index, *([0] if name == "background" else [])
                ).random()
            )
            for split in SPLITS
            for index in range(100)
        }
        assert len(first) == 400


def test_versions_share_the_hand_and_differ_in_the_background():
    first, second = (make_sample(SPEC, "probe", 3, version) for version in (0, 1))
    assert np.array_equal(first.xyz, second.xyz)
    assert (first.group, second.id - first.id) == (second.group, SPEC.unique)
    assert not np.array_equal(first.image[:8, :8], second.image[:8, :8])


def test_keypoints_are_the_projection_of_the_joints(samples):
    for sample in samples:
        for joint in range(21):
            x, y, z = sample.camera @ sample.xyz[joint]
            np.testing.assert_allclose(sample.uv[joint], [x / z, y / z], atol=1e-9)


def test_joints_lie_on_the_hand(hands):
    light = Light(np.array([0.0, 0.0, -1.0]), np.ones(3), 0.5)
    share = []
    for hand in hands[::4]:
        figure = Figure(hand.vertices, draw_subject(SPEC.seed, hand.subject))
        coverage = render([figure], (), hand.camera, light, image_px=84).hand
        uv = hand.xyz @ hand.camera.T
        uv = np.round(uv[:, :2] / uv[:, 2:]).astype(int)
        around = [coverage[v - 1 : v + 2, u - 1 : u + 2].max() > 0 for u, v in uv]
        share.append(np.mean(around))
    assert np.mean(share) > 0.995


def test_a_view_turns_and_moves_the_hand_and_never_mirrors_it(hands):
    for hand in hands[:20]:
        rng = numpy_generator("hand", SPEC.seed, "pretrain", hands.index(hand))
        rng.integers(SUBJECTS["pretrain"])
        joints = bend(draw_pose(rng), draw_subject(SPEC.seed, hand.subject))[1]
        aligned = align_procrustes(joints[None], hand.xyz[None])
        np.testing.assert_allclose(aligned[0], hand.xyz, atol=1e-9)


def test_palm_towards_the_camera_and_fingers_up_shows_the_thumb_on_the_right():
    """My own right palm before my eyes: the thumb points right. A left hand's would point left."""
    _, joints = bend(FLAT, draw_subject(0, 0))
    fist = HandPose(np.array(GESTURES["fist"], float), np.zeros(5), np.zeros(2))
    closed = bend(fist, draw_subject(0, 0))[1]
    palm = closed[12] - joints[12]
    up = joints[9] - joints[0]
    palm = palm - up * np.dot(palm, up) / np.dot(up, up)
    # Camera axes in the mesh's frame: y down = -up, z forward = -palm, x = y cross z.
    right = np.cross(-up, -palm)
    assert np.dot(joints[4] - joints[17], right) > 0
    assert np.dot(joints[5] - joints[17], right) > 0


def test_poses_stay_within_joint_limits_and_reach_towards_them():
    poses = [draw_pose(numpy_generator("limits", index)) for index in range(2000)]
    flexion = np.stack([pose.flexion for pose in poses])
    spread = np.stack([pose.spread for pose in poses])
    wrist = np.stack([pose.wrist for pose in poses])
    for drawn, limits in (
        (flexion, FLEXION_LIMITS_DEG),
        (spread, SPREAD_LIMITS_DEG),
        (wrist, WRIST_LIMITS_DEG),
    ):
        assert bool((drawn >= limits[..., 0]).all())
        assert bool((drawn <= limits[..., 1]).all())
        reach = (drawn.max(0) - drawn.min(0)) / (limits[..., 1] - limits[..., 0])
        assert float(reach.min()) > 0.7


def test_bending_a_joint_by_an_angle_turns_its_bone_by_that_angle():
    subject = draw_subject(0, 0)
    straight = bend(FLAT, subject)[1]
    flexion = np.zeros((5, 3))
    flexion[1, 1] = 60.0
    bent = bend(HandPose(flexion, np.zeros(5), np.zeros(2)), subject)[1]
    a, b = straight[7] - straight[6], bent[7] - bent[6]
    cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(60.0, abs=0.01)
    moved = np.linalg.norm(bent - straight, axis=1) > 1e-9
    assert set(np.flatnonzero(moved)) == {7, 8}


def test_skinning_equals_the_loop_over_vertices():
    mesh, subject = load_mesh(), draw_subject(0, 3)
    pose = draw_pose(numpy_generator("skinning", 1))
    transforms = _kinematics(pose, subject) @ _stretch(subject) @ np.linalg.inv(mesh.rest)
    expected = naive.skin(mesh.vertices[::9], mesh.weights[::9], transforms)
    np.testing.assert_allclose(bend(pose, subject)[0][::9], expected, atol=1e-9)


def test_the_visible_triangle_is_that_of_a_depth_buffer_with_loops():
    hand, mesh = make_hand(SPEC.merged({"image_px": 224}), "probe", 1), load_mesh()
    pixels = hand.vertices @ hand.camera.T
    triangles = (pixels[:, :2] / pixels[:, 2:])[mesh.faces]
    depths = hand.vertices[mesh.faces][..., 2]
    seen, expected = rasterise(triangles, depths, 224), naive.covered(triangles, depths, 224)
    found = np.full((224, 224), -1)
    found[seen.rows, seen.columns] = seen.face
    assert (expected >= 0).sum() > 2_000
    # Pixel centres on an edge belong to either neighbour, by rounding.
    assert np.mean((found == expected)[(expected >= 0) | (found >= 0)]) > 0.999


def test_hands_have_plausible_sizes(hands):
    lengths_m = []
    for hand in hands:
        bones = np.diff(hand.xyz[[0, 9, 10, 11, 12]], axis=0)
        lengths_m.append(np.linalg.norm(bones, axis=1).sum())
    assert 0.14 < min(lengths_m) < max(lengths_m) < 0.24
    assert np.std(lengths_m) > 0.005


def published_box(uv):
    """Box of the published code: twice 1.25 times the largest distance from the mean joint."""
    mean = uv.mean(axis=0)
    return mean, 2.5 * np.sqrt(((uv - mean) ** 2).sum(axis=1)).max()


def test_framing_is_as_stated(samples):
    for sample in samples:
        centre, side_px = published_box(sample.uv)
        assert 0.9 - 1e-6 <= side_px * SPEC.context / SPEC.image_px <= 1.0 + 1e-6
        assert np.abs(centre - SPEC.image_px / 2).max() <= 0.02 * SPEC.image_px
        assert 0.15 < sample.xyz[:, 2].min() < sample.xyz[:, 2].max() < 1.2


def test_a_crop_of_the_context_stays_inside_the_image(samples):
    for sample in samples:
        centre, side_px = published_box(sample.uv)
        half = side_px * SPEC.context / 2
        beyond = np.maximum(half - centre, centre + half - SPEC.image_px)
        assert beyond.max() <= 0.02 * SPEC.image_px


def test_light_comes_more_often_from_the_camera_than_from_behind():
    towards = [draw_light(numpy_generator("light", i)).direction[2] < 0 for i in range(400)]
    assert np.mean(towards) > 0.8


def test_the_reader_lists_every_image_once_by_its_id():
    spec = SPEC.merged({"evaluation": 3})
    reader = ProceduralReader(spec)
    assert len(reader) == 4 * 40 * 2 + 3
    assert sorted(np.concatenate(list(reader.splits.values()))) == list(range(len(reader)))
    for row in (0, 79, 160, 319, 320, 322):
        assert reader[row].id == row
    for row in (-1, 323):
        with pytest.raises(IndexError):
            reader[row]


@pytest.mark.parametrize("split", [*SPLITS, "evaluation"])
def test_a_split_of_the_reader_shows_the_hands_of_that_split(split):
    spec = SPEC.merged({"evaluation": 40})
    view = SplitView(ProceduralReader(spec), split)
    assert len(view) == 40 * spec.versions_of(split)
    last = make_sample(spec, split, 39, spec.versions_of(split) - 1)
    assert np.array_equal(view[len(view) - 1].image, last.image)
    assert view[len(view) - 1].id == last.id
    assert {view[0].group, last.group} <= set(spec.unique_ids(split))


def test_a_split_without_hands_is_not_there():
    reader = ProceduralReader(SPEC.merged({"probe": 0}))
    assert list(reader.splits) == ["pretrain", "select", "test"]
    with pytest.raises(InputError, match="no split 'evaluation'"):
        SplitView(reader, "evaluation")


def test_an_index_or_version_outside_the_spec_is_refused():
    with pytest.raises(InputError, match="expected index < 40"):
        make_sample(SPEC, "probe", 40)
    with pytest.raises(InputError, match="version < 1"):
        make_sample(SPEC.merged({"evaluation": 2}), "evaluation", 0, 1)


def test_evaluation_hands_change_nothing_about_the_others():
    more = SPEC.merged({"evaluation": 9})
    assert np.array_equal(make_sample(SPEC, "test", 5).image, make_sample(more, "test", 5).image)
    assert make_sample(more, "evaluation", 0).id == make_sample(SPEC, "test", 39, 1).id + 1
    assert more.fingerprint != SPEC.fingerprint


def test_the_fingerprint_follows_everything_that_is_drawn():
    changes = (
        {},
        {"seed": 1},
        {"level": "hard"},
        {"image_px": 90},
        {"probe": 41},
        {"versions": 1},
        {"evaluation": 1},
    )
    prints = {SPEC.merged(change).fingerprint for change in changes}
    assert len(prints) == len(changes)
    assert all(len(text) == 32 for text in prints)
