"""Diagnostics as functions of features: naive references and planted cases."""

import math

import numpy as np
import pytest
import torch

from handssl.evaluation.diagnostics import (
    collapse_measures,
    effective_rank,
    equivariance_r2,
    fit_readout,
    invariance_measures,
    keypoint_measures,
    mean_distance_px,
    readout_accuracy,
    uniformity,
    wrapped_r2,
)
from handssl.evaluation.diagnostics.readout import held_back, ridge_readouts
from handssl.evaluation.ridge import ridge_path
from handssl.transforms import regressed_intervals, view_matrix
from handssl.transforms.interval import Interval
from tests.reference import diagnostics as naive

REGRESSED = {"translate": 2, "rotate": 1, "color_jitter": 4}


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def drawn(name, count, seed):
    """Theta of `name` within the documented ranges."""
    intervals = regressed_intervals(name)
    unit = torch.from_numpy(np.random.default_rng(seed).uniform(size=(count, len(intervals))))
    low = torch.tensor([interval.low for interval in intervals])
    width = torch.tensor([interval.width for interval in intervals])
    return {name: torch.cat((torch.ones(count, 1), low + width * unit), 1)}


def pairs_of(name, count, seed, features):
    theta_a, theta_b = drawn(name, count, seed), drawn(name, count, seed + 1)
    return features(theta_a[name], seed), features(theta_b[name], seed + 1), theta_a, theta_b


def score(name, features, fitted=160, scored=80):
    return equivariance_r2(
        pairs_of(name, fitted, 10, features),
        pairs_of(name, scored, 20, features),
        name,
        regressed_intervals(name),
    )


def test_invariance_equals_its_definition_in_a_loop():
    h_a = normal(9, 5) + 1.0
    h_b = h_a + 0.3 * normal(9, 5, seed=1)
    assert invariance_measures(h_a, h_b) == pytest.approx(
        naive.invariance(h_a.numpy(), h_b.numpy()), abs=1e-12
    )


def test_equal_views_are_invariant_and_unrelated_ones_are_not():
    h = normal(400, 16)
    assert invariance_measures(h, h)["invariance"] == pytest.approx(1.0)
    assert abs(invariance_measures(h, normal(400, 16, seed=1))["invariance"]) < 0.05


def test_a_collapsed_encoder_does_not_pass_for_an_invariant_one():
    measures = invariance_measures(torch.ones(5, 3), torch.ones(5, 3))
    assert measures["invariance"] == 0.0
    assert measures["cosine_between"] == pytest.approx(1.0)


def test_uniformity_equals_its_definition_in_a_loop():
    h = normal(12, 4) + 0.5
    assert uniformity(h) == pytest.approx(naive.uniformity(h.numpy()), abs=1e-8)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_features_of_equal_spread_in_r_directions_have_effective_rank_r(rank):
    scores, _ = torch.linalg.qr(normal(50, rank) - normal(50, rank).mean(0))
    directions, _ = torch.linalg.qr(normal(20, rank, seed=1))
    assert effective_rank(4.0 + scores @ directions.T) == pytest.approx(rank, rel=1e-6)


def test_effective_rank_equals_its_definition_in_a_loop():
    h = normal(30, 6) * torch.tensor([5.0, 1.0, 1.0, 0.2, 0.1, 2.0])
    assert effective_rank(h) == pytest.approx(naive.effective_rank(h.numpy()), rel=1e-6)


def test_constant_features_have_no_rank_no_spread_and_are_all_dead():
    assert collapse_measures(torch.full((9, 4), 0.7)) == pytest.approx(
        {"uniformity": 0.0, "effective_rank": 0.0, "dead_share": 1.0}, abs=1e-12
    )
    assert collapse_measures(torch.zeros(9, 4))["dead_share"] == 1.0


def test_a_feature_that_never_changes_counts_as_dead():
    h = torch.cat((normal(9, 3), torch.full((9, 1), 2.0, dtype=torch.float64)), 1)
    assert collapse_measures(h)["dead_share"] == 0.25


@pytest.mark.parametrize("name", REGRESSED)
def test_features_that_are_theta_tell_the_relative_transformation(name):
    assert score(name, lambda theta, _: theta[:, 1:]) > 0.999


@pytest.mark.parametrize("name", REGRESSED)
def test_constant_features_tell_nothing(name):
    assert -0.2 < score(name, lambda theta, _: torch.ones(len(theta), 4)) <= 0.0


@pytest.mark.parametrize("name", REGRESSED)
def test_features_independent_of_theta_tell_nothing(name):
    assert score(name, lambda theta, seed: normal(len(theta), 32, seed=seed)) < 0.05


@pytest.mark.parametrize("rank", [1, 4])
def test_the_readout_is_the_ridge_of_the_probe_also_with_fewer_rows_than_columns(rank):
    for shape in ((40, 6), (12, 30)):
        x, y, new = normal(*shape), normal(shape[0], rank, seed=1), normal(7, shape[1], seed=2)
        for ours, theirs in zip(ridge_readouts(x, y), ridge_path(x, y), strict=True):
            assert torch.allclose(ours(new), theirs.predict(new), rtol=1e-5, atol=1e-6)


def test_lambda_is_chosen_on_the_rows_held_back():
    x, held = normal(80, 40), held_back(80)
    y = x[:, :1] + 2.0 * normal(80, 1, seed=1)
    fits = ridge_readouts(x[~held], y[~held])
    errors = [float((fit(x[held]) - y[held]).square().mean()) for fit in fits]
    chosen = fit_readout(x, y, held)
    assert float((chosen(x[held]) - y[held]).square().mean()) == min(errors)
    assert errors.index(min(errors)) > 0


def test_r2_equals_its_definition_in_a_loop():
    ranges = regressed_intervals("color_jitter")
    target = torch.cat([normal(30, 1, seed=s) for s in range(4)], 1)
    predicted = target + 3.0 * normal(30, 4, seed=9)
    periods = (1.0 / ranges[0].width, None, None, None)
    expected = naive.wrapped_r2(
        predicted.numpy(), naive_wrapped(target, periods[0]).numpy(), periods
    )
    found = wrapped_r2(predicted, naive_wrapped(target, periods[0]), "color_jitter", ranges)
    assert found == pytest.approx(expected, rel=1e-9)


def naive_wrapped(target, period):
    first = target[:, :1] - period * torch.round(target[:, :1] / period)
    return torch.cat((first, target[:, 1:]), 1)


def test_an_angle_a_whole_turn_off_is_no_error_and_its_sign_counts():
    ranges = (Interval(low=-math.pi, high=math.pi),)
    target = torch.tensor([[0.49], [-0.2], [0.3]])
    assert wrapped_r2(target - 1.0, target, "rotate", ranges) == pytest.approx(1.0, abs=1e-9)
    assert wrapped_r2(-target, target, "rotate", ranges) < 0.0


def test_a_parameter_that_does_not_vary_is_left_out_of_r2():
    ranges = regressed_intervals("translate")
    target = torch.cat((torch.zeros(9, 1), normal(9, 1).float() / 9), 1)
    assert wrapped_r2(target, target, "translate", ranges) == pytest.approx(1.0)
    assert wrapped_r2(target[:, :1].repeat(1, 2), 0 * target, "translate", ranges) == 0.0


def test_classes_in_separate_places_are_distinguished_and_noise_is_at_chance():
    labels, others = torch.arange(80) % 4, torch.arange(400) % 4
    labels = labels[torch.randperm(80, generator=torch.Generator().manual_seed(0))]
    places = 5.0 * torch.eye(4, dtype=torch.float64)
    near = (places[labels] + normal(80, 4), labels), (places[others] + normal(400, 4), others)
    assert readout_accuracy(*near, 4) > 0.95
    noise = (normal(80, 4), labels), (normal(400, 4, seed=1), others)
    assert abs(readout_accuracy(*noise, 4) - 0.25) < 0.1


def test_keypoint_measures_equal_their_definition_in_a_loop():
    plain, after = 0.2 * normal(6, 21, 2), 0.2 * normal(6, 21, 2, seed=1)
    theta = drawn("rotate", 6, 1) | drawn("translate", 6, 2)
    found = keypoint_measures(plain, after, view_matrix(theta, plain))
    angle, offset = theta["rotate"][:, 1].numpy(), theta["translate"][:, 1:].numpy()
    for name, points in (("keypoint_gap_px", after), ("keypoint_unmoved_px", plain)):
        expected = naive.keypoint_gap_px(plain.numpy(), points.numpy(), angle, offset)
        assert found[name] == pytest.approx(expected, rel=1e-6)


def test_keypoints_without_a_label_do_not_count():
    points = torch.zeros(1, 2, 2)
    truth = torch.tensor([[[0.25, 0.0], [9.0, 9.0]]])
    assert mean_distance_px(points, truth, torch.tensor([[True, False]])) == 32.0
