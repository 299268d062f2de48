"""Cells that cannot be told from the best: Dunnett's table, scipy, and simulated coverage."""

import math
import time

import numpy as np
import pytest
from scipy import stats

from handssl.stats.best_set import best_set, dunnett_critical

# One-sided, 5 %: C. Dunnett 1955, table 1a; degrees of freedom, then 1 to 9 comparisons.
TABLE = {
    5: (2.02, 2.44, 2.68, 2.85, 2.98, 3.08, 3.16, 3.24, 3.30),
    10: (1.81, 2.15, 2.34, 2.47, 2.56, 2.64, 2.70, 2.76, 2.81),
    20: (1.72, 2.03, 2.19, 2.30, 2.39, 2.46, 2.51, 2.56, 2.60),
}


@pytest.mark.parametrize("freedom", TABLE)
def test_critical_values_are_those_of_the_published_table(freedom):
    found = [dunnett_critical(m, freedom) for m in range(1, 10)]
    assert found == pytest.approx(TABLE[freedom], abs=0.0051)


@pytest.mark.parametrize(("correlation", "freedom"), [(0.5, 6), (1 / 3, 12)])
def test_critical_values_agree_with_the_multivariate_t_of_scipy(correlation, freedom):
    critical = dunnett_critical(4, freedom, correlation=correlation)
    shape = np.full((4, 4), correlation) + (1 - correlation) * np.eye(4)
    t = stats.multivariate_t(shape=shape, df=freedom, seed=0)
    assert t.cdf(np.full(4, critical), maxpts=100_000) == pytest.approx(0.95, abs=1e-3)


def studies(random, means, seeds, count):
    level = random.normal(60.0, 4.0, (count, 1, seeds))
    return level + np.asarray(means)[:, None] + random.normal(0, 1.0, (count, len(means), seeds))


def named(table, seen=None):
    """Cells by number with their values by seed, where seen."""
    seen = np.ones_like(table, dtype=bool) if seen is None else seen
    return {
        f"{i:03d}": {j: float(table[i, j]) for j in range(table.shape[1]) if seen[i, j]}
        for i in range(len(table))
    }


@pytest.mark.parametrize("means", [(0.0,) * 8, (0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0)])
def test_the_set_holds_the_best_cell_in_95_percent_of_studies(means):
    tables = studies(np.random.default_rng(0), means, 3, 500)
    held = np.mean(["000" in best_set(named(one)).cells for one in tables])
    assert held >= 0.95 - 2.6 * math.sqrt(0.05 * 0.95 / 500)
    # Of equal cells any may be called the best: the critical value is exact for each of them.
    if not any(means):
        assert held <= 0.95 + 2.6 * math.sqrt(0.05 * 0.95 / 500)


def test_the_set_holds_the_best_cell_where_cells_lack_seeds_at_random():
    random = np.random.default_rng(1)
    tables, held = studies(random, (0.0,) * 6, 4, 300), []
    for table in tables:
        seen = np.ones((6, 4), dtype=bool)
        seen[np.arange(6), random.integers(0, 4, 6)] = random.random(6) < 0.5
        held.append("000" in best_set(named(table, seen)).cells)
    assert np.mean(held) >= 0.95 - 2.6 * math.sqrt(0.05 * 0.95 / 300)


def test_cells_far_above_the_best_are_not_in_the_set_and_the_distance_is_bounded():
    random, means = np.random.default_rng(2), (0.0, 0.5, 9.0, 20.0)
    sets = [best_set(named(one)) for one in studies(random, means, 3, 200)]
    assert all({"002", "003"}.isdisjoint(one.cells) for one in sets)
    # The second cell is 0.5 mm above the best: its bound is below that in 5 % at most.
    bounds = [one.cells.get("001", math.inf) for one in sets]
    assert np.mean(np.array(bounds) < 0.5) < 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 200)


def test_estimates_of_an_incomplete_design_are_those_of_least_squares():
    random = np.random.default_rng(3)
    table = random.normal(60.0, 1.0, (5, 4))
    seen = random.random((5, 4)) < 0.8
    seen[:, 0] = True
    rows, columns = np.nonzero(seen)
    design = np.zeros((len(rows), 9))
    design[np.arange(len(rows)), rows] = design[np.arange(len(rows)), 5 + columns] = 1.0
    (estimates, *_), y = np.linalg.lstsq(design, table[seen]), table[seen]
    inverse = np.linalg.pinv(design.T @ design)
    freedom = len(rows) - 8
    variance = np.sum((y - design @ estimates) ** 2) / freedom
    found = best_set(named(table, seen))
    best, other = list(found.cells)[:2]
    i, j = int(other), int(best)
    error = math.sqrt(variance * (inverse[i, i] + inverse[j, j] - 2 * inverse[i, j]))
    bound = estimates[i] - estimates[j] + found.critical * error
    assert found.freedom == freedom
    assert found.cells[other] >= bound - 1e-9


def test_nothing_is_said_with_one_seed_and_only_cells_that_share_seeds_are_compared():
    assert best_set({"a": {1: 60.0}, "b": {1: 70.0}}) is None
    apart = {"a": {1: 60.0, 2: 61.0}, "b": {1: 62.0, 2: 60.0}}
    apart |= {"c": {3: 50.0, 4: 51.0}, "d": {3: 52.0, 4: 50.0}}
    assert best_set(apart).compared == 2
    assert best_set({"a": {1: 60.0, 2: 60.0}}) is None


def test_cells_with_a_diverged_trial_or_few_seeds_are_not_compared():
    values = {"a": {1: 60.0, 2: 61.0, 3: 60.2}, "b": {1: 60.3, 2: 60.9, 3: 60.6}}
    lost = {"c": {1: 1.0, 2: math.inf, 3: 1.0}, "d": {1: 1.0}}
    assert best_set(values | lost) == best_set(values)


def test_128_cells_with_3_seeds_take_well_under_a_second():
    (table,) = studies(np.random.default_rng(4), np.linspace(0, 9, 128), 3, 1)
    best_set(named(table))  # imports scipy
    start = time.process_time()
    best_set(named(table))
    assert time.process_time() - start < 0.5
