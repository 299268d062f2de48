"""Frozen features, targets, references."""

import copy

import numpy as np
import pytest
import torch

from handssl.data.splits import StudyData
from handssl.evaluation import (
    evaluate_encoder,
    evaluate_predictions,
    extract_features,
    mean_pose,
    random_encoder,
    settle_batch_norm,
)
from handssl.evaluation.targets import as_columns, from_columns, pose_targets
from handssl.models import EncoderConfig, ResNet18, initialise
from handssl.pose import joint_errors

CONFIG = EncoderConfig(width=8, input_px=32)


@pytest.fixture
def data(blob_data):
    return StudyData(blob_data)


@pytest.fixture
def encoder():
    model = ResNet18(8)
    initialise(model, seed=1)
    return model


def test_the_truth_as_prediction_has_no_error_under_the_primary_protocol(data):
    predictions = {
        split: as_columns(pose_targets(data.store(split))) for split in ("select", "test")
    }
    metrics = evaluate_predictions(predictions, data, prefix="truth")
    assert metrics["median_mm"] < 0.01
    assert metrics["test_mpje_mm"] < 0.01
    assert metrics["truth/px_21_boxpub/mean_px"] < 0.001


def test_a_shift_of_the_image_plane_is_measured_in_pixels_of_the_box(data):
    columns = as_columns(pose_targets(data.store("select"))).clone()
    columns[:, :42] += 0.01
    metrics = evaluate_predictions({"select": columns}, data, prefix="x")
    assert metrics["x/px_21_boxpub/median_px"] == pytest.approx(0.01 * 128 * 2**0.5, rel=1e-3)


def test_the_primary_measure_equals_its_definition_in_a_loop(data):
    store = data.store("select")
    truth = as_columns(pose_targets(store))
    columns = truth + 0.02 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    uv, z = from_columns(columns.double())
    errors = []
    for n in range(len(store)):
        xyz, camera = store.label("xyz")[n], store.label("camera")[n]
        scale = np.linalg.norm(xyz[9] - xyz[0])
        predicted = np.empty((21, 3))
        for j in range(21):
            u, v = (uv[n, j].numpy() / 1.75 + 0.5) * 56 - 0.5
            relative = 0.0 if j == 0 else float(z[n, j]) * scale
            predicted[j] = np.linalg.solve(camera, [u, v, 1.0]) * (xyz[0, 2] + relative)
        for j in range(1, 21):
            errors.append(np.linalg.norm((predicted[j] - predicted[0]) - (xyz[j] - xyz[0])))
    metrics = evaluate_predictions({"select": columns}, data, prefix="x")
    assert metrics["median_mm"] == pytest.approx(1000 * np.median(errors), rel=1e-6)
    assert metrics["mpje_mm"] == pytest.approx(1000 * np.mean(errors), rel=1e-6)


def test_frozen_means_that_neither_weights_nor_statistics_move(data, encoder):
    settle_batch_norm(encoder, data.store("pretrain"), view_px=32, batch=16)
    before = copy.deepcopy(encoder.state_dict())
    encoder.train()
    evaluate_encoder(encoder, data, view_px=32, test=True)
    assert encoder.training
    after = encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_features_do_not_depend_on_the_batch(data, encoder):
    settle_batch_norm(encoder, data.store("pretrain"), view_px=32, batch=16)
    whole = extract_features(encoder, data.store("select"), view_px=32)
    parts = extract_features(encoder, data.store("select"), view_px=32, batch=5)
    assert torch.allclose(whole, parts, atol=1e-5)


def test_settled_statistics_are_those_of_one_pass(data, encoder):
    settle_batch_norm(encoder, data.store("pretrain"), view_px=32, batch=64)
    seen = []
    encoder.conv1.register_forward_hook(lambda _m, _i, output: seen.append(output))
    extract_features(encoder, data.store("pretrain"), view_px=32, batch=64)
    assert torch.allclose(seen[0].mean((0, 2, 3)), encoder.bn1.running_mean, atol=1e-4)
    assert encoder.bn1.momentum == 0.1


def test_select_is_scored_at_every_epoch_and_test_only_at_the_end(data, encoder):
    settle_batch_norm(encoder, data.store("pretrain"), view_px=32, batch=16)
    during = evaluate_encoder(encoder, data, view_px=32, test=False)
    assert not [name for name in during if "test" in name]
    assert "test_median_mm" in evaluate_encoder(encoder, data, view_px=32, test=True)


def test_the_mean_pose_predicts_the_mean_of_probe(data):
    metrics = mean_pose(data)
    mean = as_columns(pose_targets(data.store("probe"))).mean(0, keepdim=True)
    expected = evaluate_predictions(
        {"select": mean.expand(len(data.store("select")), -1)}, data, prefix="mean"
    )
    assert metrics["median_mm"] == expected["median_mm"]


def test_the_random_encoder_repeats_for_its_block(data):
    assert random_encoder(CONFIG, data, seed=1) == random_encoder(CONFIG, data, seed=1)
    assert random_encoder(CONFIG, data, seed=1) != random_encoder(CONFIG, data, seed=2)


def test_joint_errors_of_equal_hands_are_zero():
    hand = np.random.default_rng(0).normal(size=(2, 21, 3))
    assert not joint_errors(hand, hand).any()
