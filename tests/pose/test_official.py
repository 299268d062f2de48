"""The datasets' own measures against plain loops over their published definitions."""

import numpy as np
import pytest

from handssl.errors import InputError
from handssl.pose import (
    F_SCORES,
    OFFICIAL,
    PROTOCOLS,
    PoseLabels,
    align_procrustes,
    decode_2_5d,
    encode_2_5d,
    pose_metrics,
    recover_root_depth,
)
from handssl.randomness import numpy_generator
from tests.reference import official
from tests.reference import pose as naive

FREIHAND = ("freihand_21", "freihand_pa_21", "freihand_pa_rot_21")
COUNT = 120


@pytest.fixture(scope="module")
def hands():
    """Return predicted uv and z with some degenerate hands, and complete labels."""
    rng = numpy_generator("test official")
    xyz, cameras = naive.random_hands(rng, COUNT)
    truth = encode_2_5d(xyz, cameras)
    uv = truth.uv + rng.normal(0, 8, truth.uv.shape)
    z = truth.z + rng.normal(0, 0.3, truth.z.shape)
    uv[3, 9] = uv[3, 0]
    return uv, z, PoseLabels(truth.uv, xyz, cameras)


def measure(hands, protocols, valid=None):
    uv, z, labels = hands
    truth = PoseLabels(labels.uv, labels.xyz, labels.camera, valid)
    return pose_metrics(uv, z, truth, box_px=96.0, protocols=protocols)


def placed(hands):
    """Return naive predictions in metres and their truth, for hands that have a root depth."""
    uv, z, labels = hands
    predicted, truth = [], []
    for i in range(COUNT):
        hand = naive.decode(uv[i].tolist(), z[i], labels.camera[i], 1.0, 0, (0, 9))
        if hand is not None:
            predicted.append(official.size_by_phalanx(hand, labels.xyz[i]))
            truth.append(labels.xyz[i])
    return predicted, truth


def test_freihand_numbers_equal_the_loops_of_the_published_evaluation(hands):
    predicted, truth = placed(hands)
    aligned = [official.align(goal, hand) for hand, goal in zip(predicted, truth, strict=True)]
    rotated = [naive.align(hand, goal) for hand, goal in zip(predicted, truth, strict=True)]
    metrics = measure(hands, FREIHAND)
    for name, those in zip(FREIHAND, (predicted, aligned, rotated), strict=True):
        mean, median, area = official.per_joint(official.collect(those, truth))
        assert metrics[f"{name}/joint_mean_mm"] == pytest.approx(mean, rel=1e-6), name
        assert metrics[f"{name}/joint_median_mm"] == pytest.approx(median, rel=1e-6), name
        assert metrics[f"{name}/auc_50mm"] == pytest.approx(area, abs=1e-9), name
        assert metrics[f"{name}/degenerate_count"] == COUNT - len(predicted)
    assert 0 < COUNT - len(predicted) < COUNT / 2


def test_every_recovered_protocol_gives_the_same_count_of_degenerate_hands(hands):
    metrics = measure(hands, (*PROTOCOLS, *OFFICIAL))
    counts = [value for name, value in metrics.items() if name.endswith("degenerate_count")]
    assert len(counts) == 5
    assert len(set(counts)) == 1


def test_a_predicted_phalanx_without_length_is_counted_and_never_becomes_metres(hands):
    uv, z, labels = hands
    uv, z = uv.copy(), z.copy()
    truth = encode_2_5d(labels.xyz, labels.camera)
    uv[5], z[5] = truth.uv[5], truth.z[5]
    before = measure((uv, z, labels), FREIHAND[:1])
    uv[5, 10], z[5, 10] = uv[5, 9], z[5, 9]
    after = measure((uv, z, labels), FREIHAND[:1])
    name = "freihand_21/degenerate_count"
    assert after[name] == before[name] + 1
    assert after["freihand_21/joint_mean_mm"] < 1000.0


def test_a_mirrored_hand_is_free_officially_and_not_with_a_proper_rotation(hands):
    xyz = hands[2].xyz
    mirrored = xyz * (-1.0, 1.0, 1.0)
    theirs = [official.align(goal, hand) for hand, goal in zip(mirrored, xyz, strict=True)]
    ours = align_procrustes(mirrored, xyz, allow_reflection=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-7)
    assert np.linalg.norm(ours - xyz, axis=-1).max() < 1e-9
    proper = align_procrustes(mirrored, xyz)
    assert np.linalg.norm(proper - xyz, axis=-1).mean(axis=1).min() > 1e-3


def test_alignment_of_any_prediction_is_the_official_one(hands):
    rng = numpy_generator("test official alignment")
    xyz = hands[2].xyz
    predicted = rng.normal(0, 0.1, xyz.shape)
    theirs = [official.align(goal, hand) for hand, goal in zip(predicted, xyz, strict=True)]
    ours = align_procrustes(predicted, xyz, allow_reflection=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize("left_share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("protocol", "wrist"), [("interhand_21", True), ("interhand_20", False)])
def test_interhand_numbers_are_the_published_ones_of_42_joints(hands, protocol, wrist, left_share):
    uv, z, labels = hands
    rng = numpy_generator("test interhand")
    valid, left = rng.random((COUNT, 21)) > 0.3, rng.random(COUNT) < left_share
    assert (valid[:, 0] & ~valid[:, 9]).any()
    scale = np.linalg.norm(labels.xyz[:, 0] - labels.xyz[:, 9], axis=1)
    known = valid[:, 0] & valid[:, 9]
    scale = np.where(known, scale, scale[known].mean())
    predicted = [
        naive.decode(uv[i], z[i], labels.camera[i], scale[i], 0, (0, 9), float(labels.xyz[i, 0, 2]))
        for i in range(COUNT)
    ]
    expected = official.interhand(np.array(predicted), labels.xyz, valid, left, wrist)
    truth = PoseLabels(labels.uv, labels.xyz, labels.camera, valid, left=left)
    metrics = pose_metrics(uv, z, truth, box_px=96.0, protocols=(protocol,))
    assert metrics == {f"{protocol}/joint_mean_mm": pytest.approx(expected, rel=1e-9)}


def test_interhand_weighs_both_sides_alike_however_few_hands_one_has(hands):
    """Nine right hands with an error of 1 unit and one left of 10 are 5.5 on average, not 1.9."""
    labels = hands[2]
    truth = encode_2_5d(labels.xyz, labels.camera)
    depth, left = truth.z[:10].copy(), np.arange(10) == 9
    scale = np.linalg.norm(labels.xyz[:10, 0] - labels.xyz[:10, 9], axis=1)
    depth[:, 1:] += np.where(left, 0.010, 0.001)[:, None] / scale[:, None]
    errors = PoseLabels(labels.uv[:10], labels.xyz[:10], labels.camera[:10], left=left)
    one = {"box_px": 96.0, "protocols": ("interhand_20",)}
    both = pose_metrics(truth.uv[:10], depth, errors, **one)["interhand_20/joint_mean_mm"]
    apart = [
        pose_metrics(
            truth.uv[:10][rows], depth[rows],
            PoseLabels(labels.uv[:10][rows], labels.xyz[:10][rows], labels.camera[:10][rows]),
            **one,
        )["interhand_20/joint_mean_mm"]
        for rows in (~left, left)
    ]  # fmt: skip
    assert both == pytest.approx(np.mean(apart)) and both > 5.0


def test_a_mask_of_left_hands_of_another_shape_is_refused(hands):
    uv, z, labels = hands
    wrong = PoseLabels(labels.uv, labels.xyz, labels.camera, left=np.zeros(3, dtype=bool))
    with pytest.raises(InputError, match=r"labels\.left: expected bool of shape"):
        pose_metrics(uv, z, wrong, box_px=96.0)


def test_counting_the_wrist_makes_interhand_numbers_twenty_twenty_firsts(hands):
    metrics = measure(hands, ("interhand_21", "interhand_20"))
    with_wrist = metrics["interhand_21/joint_mean_mm"]
    assert with_wrist == pytest.approx(metrics["interhand_20/joint_mean_mm"] * 20 / 21)


def test_the_new_protocols_leave_every_older_number_alone(hands):
    older, every = measure(hands, tuple(PROTOCOLS)), measure(hands, (*PROTOCOLS, *OFFICIAL))
    assert not PROTOCOLS.keys() & OFFICIAL.keys()
    assert {name: every[name] for name in older} == older
    assert pose_metrics(*hands, box_px=96.0) == older


def test_the_id_of_an_official_protocol_says_how_many_joints_it_counts():
    for name, protocol in OFFICIAL.items():
        assert name == protocol.id
        assert name.endswith(f"_{protocol.joints}")


def test_f_scores_are_said_to_need_a_mesh_and_no_number_is_made_up():
    assert set(F_SCORES) == {"F@5 mm", "F@15 mm"}
    assert all(text == "n/a: needs a mesh" for text in F_SCORES.values())


def test_the_protocol_of_the_true_root_decodes_what_the_recovered_one_refuses(hands):
    uv, z, labels = hands
    _, well_posed = recover_root_depth(uv, z, labels.camera)
    assert not well_posed[3]
    depth, scale = labels.xyz[3, 0, 2], np.linalg.norm(labels.xyz[3, 0] - labels.xyz[3, 9])
    known = decode_2_5d(uv[3], z[3], labels.camera[3], scale=scale, root_depth=depth)
    assert np.isfinite(known).all()
