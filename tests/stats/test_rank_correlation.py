"""Rank correlations: the value of scipy, and intervals that hold in simulated worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from handssl.stats.rank_correlation import rank_correlation


def points(x, y):
    return {f"{n}": pair for n, pair in enumerate(zip(x.tolist(), y.tolist(), strict=True))}


def world(generator, cells, seeds, correlation, noise):
    """Cells with two correlated measures, each measured with noise in every seed."""
    true = generator.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=cells).T
    return {
        seed: points(*(true + noise * generator.normal(size=true.shape))) for seed in range(seeds)
    }


def test_the_value_is_the_mean_of_those_of_scipy(seed=5):
    values = world(np.random.default_rng(seed), 9, 3, 0.6, 0.4)
    each = [stats.spearmanr(*zip(*one.values(), strict=True))[0] for one in values.values()]
    found = rank_correlation(values)
    assert found.rho == pytest.approx(np.mean(each))
    assert found.seeds == pytest.approx(
        stats.t.interval(0.95, 2, loc=np.mean(each), scale=stats.sem(each))
    )


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_the_interval_for_other_cells_covers_the_correlation_of_the_population(correlation):
    population = 6 / math.pi * math.asin(correlation / 2)
    generator = np.random.default_rng(1)
    found = [rank_correlation(world(generator, 16, 1, correlation, 0.0)) for _ in range(400)]
    share = np.mean([one.cells[0] <= population <= one.cells[1] for one in found])
    assert 0.92 < share < 0.985


def test_cells_without_any_correlation_are_decided_in_one_study_of_twenty_at_most():
    generator = np.random.default_rng(2)
    found = [rank_correlation(world(generator, 12, 3, 0.0, 0.3)) for _ in range(300)]
    assert np.mean([one.is_decided for one in found]) < 0.05 + 0.025


def test_many_cells_that_agree_in_every_seed_are_decided_and_few_are_not():
    line = np.arange(12.0)
    found = rank_correlation({seed: points(line, -line) for seed in (1, 2, 3)})
    assert found.rho == -1.0
    assert found.is_decided
    assert found.cells[0] > -1.0
    few = rank_correlation({seed: points(line[:4], -line[:4]) for seed in (1, 2, 3)})
    assert not few.is_decided


def test_one_seed_is_never_decided():
    found = rank_correlation({1: points(np.arange(12.0), np.arange(12.0))})
    assert math.isnan(found.seeds[0])
    assert not found.is_decided


def test_seeds_that_tell_nothing_are_left_out():
    line = np.arange(6.0)
    same = points(np.ones(6), line)
    few = points(line[:3], line[:3])
    assert rank_correlation({1: same, 2: few}) is None
    assert rank_correlation({1: same, 2: points(line, line)}).seed_count == 1
