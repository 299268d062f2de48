"""The prediction file of FreiHAND: placed, written, read again and scored."""

import json
from zipfile import ZipFile

import numpy as np
import pytest

from handssl.errors import DataError, InputError
from handssl.evaluation.freihand_export import (
    OFFICIAL_COUNT,
    freihand_predictions,
    read_freihand_predictions,
    write_freihand_predictions,
)
from handssl.pose import OFFICIAL, PoseLabels, encode_2_5d, pose_metrics
from handssl.randomness import numpy_generator
from tests.reference import official
from tests.reference import pose as naive
from tests.reference.freihand_score import freihand_statistics, score_freihand

COUNT = 40


@pytest.fixture(scope="module")
def hands():
    """Return joints, cameras, their 2.5D poses and the official scale."""
    xyz, cameras = naive.random_hands(numpy_generator("test export"), COUNT)
    scale = np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1)
    return xyz, cameras, encode_2_5d(xyz, cameras), scale


@pytest.fixture
def noisy(hands):
    rng = numpy_generator("test export noise")
    return hands[0] + rng.normal(0, 0.01, hands[0].shape)


def test_the_true_pose_becomes_the_true_joints_from_the_image_and_the_scale_alone(hands):
    xyz, cameras, pose, scale = hands
    placed, fallback = freihand_predictions(pose.uv, pose.z, cameras, scale, fallback_depth=6.0)
    same = np.linalg.norm(placed - xyz, axis=-1).max(-1) < 1e-6
    assert same.sum() >= COUNT - 1  # the farther of two hands that look alike
    assert not fallback.any()


def test_the_phalanx_of_every_placed_hand_has_the_official_length(hands):
    _, cameras, pose, scale = hands
    uv = pose.uv + numpy_generator("test export uv").normal(0, 3, pose.uv.shape)
    placed, _ = freihand_predictions(uv, pose.z, cameras, scale, fallback_depth=6.0)
    found = np.linalg.norm(placed[:, 9] - placed[:, 10], axis=1)
    np.testing.assert_allclose(found, scale, rtol=1e-9)


def test_a_degenerate_hand_takes_the_stated_depth_and_is_reported(hands):
    _, cameras, pose, scale = hands
    uv = pose.uv.copy()
    uv[7, 9] = uv[7, 0]
    depths = []
    for fallback in (5.0, 10.0):
        placed, lost = freihand_predictions(uv, pose.z, cameras, scale, fallback_depth=fallback)
        assert np.flatnonzero(lost).tolist() == [7]
        assert np.isfinite(placed).all()
        # In units of the phalanx: the bone's unit was divided out.
        phalanx = np.linalg.norm(placed[7, 9] - placed[7, 10])
        assert phalanx == pytest.approx(scale[7])
        depths.append(placed[7, 0, 2])
    assert depths[0] != depths[1]


def test_a_hand_whose_phalanx_has_no_length_is_refused(hands):
    _, cameras, pose, scale = hands
    uv, z = pose.uv.copy(), pose.z.copy()
    uv[4, 10], z[4, 10] = uv[4, 9], z[4, 9]
    with pytest.raises(InputError, match="row 4"):
        freihand_predictions(uv, z, cameras, scale, fallback_depth=6.0)


@pytest.mark.parametrize("name", ["pred.json", "pred.zip"])
def test_a_written_file_has_the_official_layout_and_reads_back(tmp_path, noisy, name):
    path = tmp_path / name
    write_freihand_predictions(path, noisy, count=COUNT)
    if name.endswith("zip"):
        with ZipFile(path) as archive:
            assert archive.namelist() == ["pred.json"]
            document = json.loads(archive.read("pred.json"))
    else:
        document = json.loads(path.read_text())
    joints, vertices = document
    assert np.shape(joints) == (COUNT, 21, 3)
    assert np.shape(vertices) == (COUNT, 778, 3)
    assert not np.any(vertices)
    np.testing.assert_allclose(read_freihand_predictions(path), noisy, atol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_the_official_number_of_hands_is_insisted_on(tmp_path, noisy):
    with pytest.raises(InputError, match=rf"\({OFFICIAL_COUNT}, 21, 3\), got \({COUNT}, 21, 3\)"):
        write_freihand_predictions(tmp_path / "pred.json", noisy)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_joints_that_are_not_finite_are_refused_and_an_older_file_stays(tmp_path, noisy, value):
    path = tmp_path / "pred.json"
    write_freihand_predictions(path, noisy, count=COUNT)
    before, broken = path.read_bytes(), noisy.copy()
    broken[3, 4, 1] = value
    with pytest.raises(InputError, match="finite"):
        write_freihand_predictions(path, broken, count=COUNT)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"xyz": []}', "[[[[0, 0]]], []]", "[[[["])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "pred.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"pred\.json"):
        read_freihand_predictions(path)


def test_the_score_of_a_file_equals_the_loops_of_the_published_evaluation(tmp_path, hands, noisy):
    path = tmp_path / "pred.json"
    write_freihand_predictions(path, noisy, count=COUNT)
    scores = score_freihand(path, hands[0])
    written = read_freihand_predictions(path)
    aligned = [official.align(goal, hand) for hand, goal in zip(written, hands[0], strict=True)]
    for name, those in (("freihand_21", written), ("freihand_pa_21", aligned)):
        mean, median, area = official.per_joint(official.collect(those, hands[0]))
        assert scores[f"{name}/joint_mean_mm"] == pytest.approx(mean, rel=1e-6)
        assert scores[f"{name}/joint_median_mm"] == pytest.approx(median, rel=1e-6)
        assert scores[f"{name}/auc_50mm"] == pytest.approx(area, abs=1e-9)
    assert {name.split("/")[0] for name in scores} == {n for n in OFFICIAL if "freihand" in n}


def test_a_score_agrees_with_the_metrics_of_the_same_predictions(hands):
    xyz, cameras, pose, scale = hands
    uv = pose.uv + numpy_generator("test export uv").normal(0, 3, pose.uv.shape)
    placed, fallback = freihand_predictions(uv, pose.z, cameras, scale, fallback_depth=6.0)
    names = tuple(name for name in OFFICIAL if "freihand" in name)
    labels = PoseLabels(pose.uv, xyz, cameras)
    metrics = pose_metrics(uv, pose.z, labels, box_px=96.0, protocols=names)
    scores = freihand_statistics(placed[~fallback], xyz[~fallback])
    for name, value in scores.items():
        assert metrics[name] == pytest.approx(value, rel=1e-9), name
    assert metrics["freihand_21/degenerate_count"] == fallback.sum()


def test_the_zero_predictor_scores_the_distance_of_the_joints_and_of_their_centre(hands):
    xyz = hands[0]
    scores = freihand_statistics(np.zeros_like(xyz), xyz)
    distance = 1000 * np.linalg.norm(xyz, axis=-1).mean()
    spread = 1000 * np.linalg.norm(xyz - xyz.mean(1, keepdims=True), axis=-1).mean()
    assert scores["freihand_21/joint_mean_mm"] == pytest.approx(distance)
    assert scores["freihand_21/auc_50mm"] == 0.0
    assert scores["freihand_pa_21/joint_mean_mm"] == pytest.approx(spread)
    assert scores["freihand_pa_rot_21/joint_mean_mm"] == pytest.approx(spread)


def test_another_number_of_hands_than_labels_is_an_error_of_the_file(tmp_path, hands, noisy):
    path = tmp_path / "pred.json"
    write_freihand_predictions(path, noisy[:-1], count=COUNT - 1)
    with pytest.raises(DataError, match=rf"pred\.json: expected {COUNT} hands, found {COUNT - 1}"):
        score_freihand(path, hands[0])
