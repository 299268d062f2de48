"""The ridge probe against the normal equations."""

import numpy as np
import pytest
import torch

from handssl.evaluation import choose_probe, ridge_path
from handssl.evaluation.ridge import LAMBDA_EXPONENTS
from tests.reference import ridge as naive


def problem(n=60, dim=7, targets=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dim, generator=generator) * torch.arange(1, dim + 1) + 5.0
    y = x @ torch.randn(dim, targets, generator=generator) + 2.0
    return x, y + 0.3 * torch.randn(n, targets, generator=generator)


@pytest.mark.parametrize("size", [{}, {"n": 20, "dim": 31}])
@pytest.mark.parametrize("position", [0, 5, 9, 16])
def test_every_probe_of_the_path_equals_the_normal_equations(position, size):
    x, y = problem(**size)
    new = torch.randn(9, x.shape[1])
    exponent = LAMBDA_EXPONENTS[position]
    expected = naive.predict(x.numpy(), y.numpy(), new.numpy(), exponent)
    found = ridge_path(x, y)[position].predict(new).numpy()
    # The normal equations of more features than samples lose digits of the largest value.
    largest = np.abs(expected).max() if x.shape[1] > len(x) else 0.0
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * largest)


def test_the_grid_is_half_decades_from_a_millionth_to_a_hundred():
    assert LAMBDA_EXPONENTS[0] == -6
    assert LAMBDA_EXPONENTS[-1] == 2
    assert set(np.diff(LAMBDA_EXPONENTS)) == {0.5}


def test_the_intercept_is_not_penalised():
    x, y = problem()
    heaviest = ridge_path(x, y + 1000.0)[-1]
    assert torch.allclose(heaviest.predict(x).mean(0), (y + 1000.0).double().mean(0), rtol=1e-6)


def test_rescaling_a_feature_changes_nothing():
    x, y = problem()
    scaled = x * torch.tensor([1e-3, 1.0, 1e3, 1.0, 7.0, 1.0, 1.0])
    for one, other in zip(ridge_path(x, y), ridge_path(scaled, y), strict=True):
        assert torch.allclose(one.predict(x), other.predict(scaled), atol=1e-3)


def test_a_constant_feature_is_harmless():
    x, y = problem()
    x[:, 2] = 4.0
    assert bool(torch.isfinite(ridge_path(x, y)[0].predict(x)).all())


def test_more_features_than_samples_still_fit():
    x, y = problem(n=10, dim=30)
    assert bool(torch.isfinite(ridge_path(x, y)[3].predict(x)).all())


def test_lambda_is_chosen_by_the_error_on_select_and_ties_go_to_the_larger():
    x, y = problem()
    probes = ridge_path(x, y)
    calls = iter([3.0, 3.0, 1.0, 2.0] + [5.0] * 13)
    chosen = choose_probe(probes, x, lambda _: next(calls))
    assert chosen.exponent == LAMBDA_EXPONENTS[-3]
    assert choose_probe(probes, x, lambda _: 1.0).exponent == LAMBDA_EXPONENTS[-1]
