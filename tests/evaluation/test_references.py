"""Reference rows: physical arguments for the oracle of the angle, naive ridges for the features."""

from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from skimage.feature import hog

from handssl.data.splits import StudyData
from handssl.evaluation import hog_ridge, mean_pose, mean_pose_true_angle, references, rgb_ridge
from handssl.evaluation.fixed_features import HogFeatures, RgbFeatures
from handssl.evaluation.probe import primary_mm
from handssl.evaluation.targets import as_columns, pose_targets
from handssl.ledger.references import Kind
from handssl.models import EncoderConfig
from handssl.transforms import plain_view
from tests.reference import ridge as naive

CONFIG = EncoderConfig(input_px=32)
SIDE_PX = 64


class Hands:
    """A labelled split of hands in front of a camera that looks at the centre of the crop."""

    def __init__(self, xyz):
        centre = (SIDE_PX - 1) / 2
        self.xyz = np.asarray(xyz, dtype=np.float64)
        self.box_px, self.manifest = (
            SIDE_PX,
            SimpleNamespace(crop_px=SIDE_PX, context=1.0, boxes="extent"),
        )
        self.camera = np.array([[250.0, 0.0, centre], [0.0, 250.0, centre], [0.0, 0.0, 1.0]])
        self.valid = np.ones(self.xyz.shape[:2], dtype=bool)

    def __len__(self):
        return len(self.xyz)

    def label(self, name):
        if name == "uv":
            points = self.xyz @ self.camera.T
            return points[..., :2] / points[..., 2:]
        cameras = np.broadcast_to(self.camera, (len(self), 3, 3))
        labels = {"xyz": self.xyz, "camera": cameras, "valid": self.valid}
        return (labels | {"mirrored": np.zeros(len(self), dtype=bool)})[name]


def turned(xyz, angles):
    """Hands after turning their image: a rotation about the optical axis."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y, z = np.moveaxis(np.asarray(xyz), -1, 0)
    return np.stack((cos * x - sin * y, sin * x + cos * y, z), axis=-1)


def made(count, seed):
    """Hands of random shape with their middle finger to the right, half a metre away."""
    random = np.random.default_rng(seed)
    shape = np.random.default_rng(0).uniform(-0.05, 0.05, (21, 3))
    shape[0], shape[9] = (-0.05, 0.0, 0.0), (0.05, 0.0, 0.01)
    return shape + 0.01 * random.standard_normal((count, 21, 3)) + (0.0, 0.0, 0.5)


def study(probe, select):
    stores = {"probe": Hands(probe), "select": Hands(select), "test": Hands(select)}
    return SimpleNamespace(store=stores.__getitem__)


def angles(count, seed):
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, count)


def test_turning_the_images_changes_the_mean_pose_and_not_the_one_at_the_true_angle():
    probe = turned(made(40, 1), angles(40, 2) / 8)
    still, moved = (
        study(probe, turned(made(30, 3), angle)) for angle in (np.zeros(30), angles(30, 4))
    )
    for name in ("median_mm", "mpje_mm", "test_median_mm", "oracle/px_21/median_px"):
        expected = mean_pose_true_angle(still)[name]
        assert mean_pose_true_angle(moved)[name] == pytest.approx(expected, rel=1e-4)
    assert mean_pose(moved)["median_mm"] > 2 * mean_pose(still)["median_mm"]


def test_hands_that_differ_in_their_angle_alone_have_no_error_at_the_true_angle():
    hands = np.repeat(made(1, 1), 40, axis=0)
    data = study(turned(hands, angles(40, 1)), turned(hands, angles(40, 2)))
    assert mean_pose_true_angle(data)["mpje_mm"] < 1e-3
    assert mean_pose(data)["mpje_mm"] > 10.0


@pytest.mark.parametrize("seed", range(5))
def test_where_all_angles_are_as_likely_the_true_one_never_makes_the_mean_pose_worse(seed):
    probe, select = (turned(made(200, seed + k), angles(200, seed + k)) for k in (10, 20))
    data = study(probe, select)
    assert mean_pose_true_angle(data)["mpje_mm"] < mean_pose(data)["mpje_mm"]


@pytest.fixture
def predict(monkeypatch):
    """Function that returns the predictions at the true angle for the hands of `select`."""

    def found(data):
        caught = {}
        monkeypatch.setattr(
            references, "evaluate_predictions", lambda one, data, prefix: caught.update(one)
        )
        mean_pose_true_angle(data)
        return caught["select"]

    return found


def test_the_oracle_knows_nothing_of_a_hand_but_the_angle(predict):
    hands, others = made(10, 2), made(10, 3)
    others[:, [0, 9]] = hands[:, [0, 9]]
    probe = made(20, 1)
    assert torch.equal(predict(study(probe, hands)), predict(study(probe, others)))


@pytest.mark.parametrize("joint", [0, 9])
def test_a_hand_without_a_label_that_gives_its_angle_gets_the_mean_pose(predict, joint):
    data = study(turned(made(40, 1), angles(40, 1)), turned(made(4, 2), angles(4, 2)))
    data.store("select").valid[1, joint] = False
    mean = as_columns(pose_targets(data.store("probe"))).mean(0)
    equal = (predict(data) == mean).all(dim=1)
    assert equal.tolist() == [False, True, False, False]


def images_of(store):
    crops = torch.from_numpy(np.stack([np.asarray(store.crops([n])[0]) for n in range(len(store))]))
    return plain_view(crops, view_px=CONFIG.input_px, context=store.manifest.context)


def test_hog_features_are_those_of_scikit_image():
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    # Without areas of one grey, whose strongest channel depends on rounding.
    pixels = np.random.default_rng(0).random((3, CONFIG.input_px, CONFIG.input_px, 3))
    views = torch.from_numpy((pixels - mean) / std).float().permute(0, 3, 1, 2)
    features, encoder = HogFeatures(CONFIG)(views), HogFeatures(CONFIG)
    assert features.shape == (3, encoder.dim)
    for view, found in zip(views, features, strict=True):
        image = view.permute(1, 2, 0).numpy() * std + mean
        expected = hog(image, 9, (8, 8), (2, 2), block_norm="L2-Hys", channel_axis=-1)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_rgb_features_are_means_of_areas():
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features = RgbFeatures(CONFIG)(images).view(2, 3, 16, 16)
    assert features[1, 2, 3, 5] == pytest.approx(float(images[1, 2, 6:8, 10:12].mean()), rel=1e-5)


@pytest.mark.parametrize(("measure", "kind"), [(rgb_ridge, RgbFeatures), (hog_ridge, HogFeatures)])
def test_the_ridge_references_are_naive_ridges_on_the_features(blob_data, measure, kind):
    data, encoder = StudyData(blob_data), kind(CONFIG)
    x = {split: encoder(images_of(data.store(split))).numpy() for split in ("probe", "select")}
    y = as_columns(pose_targets(data.store("probe"))).numpy()
    metrics = measure(CONFIG, data)
    predicted = naive.predict(x["probe"], y, x["select"], metrics["ridge/lambda_exponent"])
    expected = primary_mm(torch.from_numpy(predicted), data.store("select"))
    assert metrics["median_mm"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("kind", sorted({*get_args(Kind)} - {"random_encoder"}))
def test_references_see_no_pretraining_images_and_report_test_beside_select(blob_data, kind):
    data, asked = StudyData(blob_data), set()
    seen = SimpleNamespace(store=lambda split: asked.add(split) or data.store(split))
    metrics = references.measure_reference(kind, CONFIG, seen, seed=1)
    assert asked == {"probe", "select", "test"}
    names = {"median_mm", "mpje_mm", "aligned_median_mm"}
    assert names | {f"test_{name}" for name in names} <= set(metrics)


def test_the_seed_changes_none_of_the_references_that_are_computed_once(blob_data):
    data = StudyData(blob_data)
    for kind in ("mean_pose", "rgb_ridge"):
        one, other = (references.measure_reference(kind, CONFIG, data, seed=s) for s in (1, 2))
        assert one == other


def test_the_aligned_error_does_not_see_a_turn_that_the_primary_one_does():
    probe = made(40, 1)
    plain, moved = (study(probe, turned(made(30, 2), a)) for a in (np.zeros(30), angles(30, 3)))
    before, after = mean_pose(plain), mean_pose(moved)
    assert after["aligned_median_mm"] == pytest.approx(before["aligned_median_mm"], rel=0.05)
    assert after["median_mm"] > 2 * before["median_mm"]
