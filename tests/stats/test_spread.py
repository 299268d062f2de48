"""Spread of repeats: the chi-square interval covers, and the floor is where the sign is a toss."""

from __future__ import annotations

import math

import numpy as np
import pytest

from handssl.stats.spread import spread_within, undecided_below


def test_the_interval_covers_the_true_deviation_in_95_of_100_samples():
    rng = np.random.default_rng(0)
    true, covered, rounds = 2.0, 0, 2000
    for _ in range(rounds):
        groups = [
            rng.normal(mean, true, size).tolist() for mean, size in ((60.0, 4), (75.0, 3), (0.0, 1))
        ]
        found = spread_within(groups)
        assert found is not None
        assert found.df == 5
        covered += found.low <= true <= found.high
    assert covered / rounds == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / rounds))


def test_means_of_cells_are_no_spread():
    found = spread_within([[1.0, 3.0], [101.0, 103.0]])
    assert found is not None
    assert found.sd == pytest.approx(math.sqrt(2.0))
    assert (found.n, found.df) == (4, 2)
    assert spread_within([[1.0], [2.0]]) is None
    assert spread_within([]) is None


def test_repeats_alone_pass_the_floor_in_5_of_100_differences():
    rng = np.random.default_rng(1)
    for blocks in (1, 3):
        a = rng.normal(0.0, 1.5, (20_000, blocks)).mean(axis=1)
        b = rng.normal(0.0, 0.5, (20_000, blocks)).mean(axis=1)
        beyond = np.mean(np.abs(a - b) > undecided_below(1.5, 0.5, blocks))
        assert beyond == pytest.approx(0.05, abs=0.006)
