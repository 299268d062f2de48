"""Verdicts on paired differences, against scipy's own paired t-test."""

import math

import numpy as np
import pytest
from scipy import stats

from handssl.stats.verdict import judge, judge_best


def by_seed(*values):
    return dict(enumerate(values, 1))


@pytest.mark.parametrize("seed", range(20))
def test_a_verdict_is_decided_exactly_where_the_paired_t_test_is_at_five_percent(seed):
    random = np.random.default_rng(seed)
    values, others = random.normal(60.0, 1.0, (2, 3))
    values += random.normal(0.0, 3.0)
    found = judge(by_seed(*values), by_seed(*others))
    test = stats.ttest_rel(values, others)
    low, high = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    decided = "better" if test.statistic < 0 else "not better"
    assert found.word == (decided if test.pvalue < 0.05 else "undecided")


@pytest.mark.parametrize("mm", [1.0, 59.9, 60.1, 900.0])
def test_one_seed_decides_nothing_however_large_the_difference(mm):
    found = judge({4: mm}, {4: 60.0})
    assert (found.word, str(found)) == ("undecided", "undecided: one seed")


def test_only_seeds_that_both_have_are_paired():
    found = judge({1: 50.0, 2: 51.0}, {2: 60.0, 3: 61.0})
    assert (found.word, found.seeds, found.mm) == ("undecided", 1, -9.0)
    assert str(judge({1: 50.0}, {2: 60.0})) == "undecided: no seed has both"


@pytest.mark.parametrize("swapped", [False, True])
def test_a_diverged_seed_leaves_the_pair_undecided_and_is_counted(swapped):
    pair = [by_seed(50.0, 50.1, math.inf), by_seed(60.0, 60.1, 60.2)]
    found = judge(*(reversed(pair) if swapped else pair))
    assert (found.word, found.diverged) == ("undecided", 1)
    assert str(found) == "undecided: diverged in 1 of 3 seeds"


def test_where_both_diverged_there_is_no_difference_either():
    both = by_seed(math.inf, 50.0)
    assert judge(both, both).word == "undecided"


def test_equal_errors_are_undecided():
    assert judge(by_seed(60.0, 60.0), by_seed(60.0, 60.0)).word == "undecided"


def test_a_cell_that_is_surely_better_decides_before_a_lower_one_that_is_not_sure():
    cells = {"wild": by_seed(40.0, 70.0, 45.0), "sure": by_seed(57.0, 57.1, 56.9)}
    assert judge_best(cells, by_seed(60.0, 60.0, 60.0))[0] == "sure"


def test_without_a_better_cell_the_first_decides():
    cells = {"best": by_seed(62.0, 62.1, 61.9), "next": by_seed(65.0, 80.0, 63.0)}
    name, verdict = judge_best(cells, by_seed(60.0, 60.0, 60.0))
    assert (name, verdict.word) == ("best", "not better")


def test_among_many_equal_cells_one_is_rarely_said_to_be_better():
    random, wrong = np.random.default_rng(0), 0
    for _ in range(400):
        others = by_seed(*random.normal(60.0, 1.0, 3))
        cells = {str(i): by_seed(*random.normal(60.0, 1.0, 3)) for i in range(10)}
        wrong += judge_best(cells, others)[1].word == "better"
    # At most 2.5 % of 400 below 0 by chance, and three standard errors.
    assert wrong / 400 <= 0.025 + 3 * (0.025 * 0.975 / 400) ** 0.5


def test_a_difference_that_rounding_alone_makes_is_undecided_whatever_the_seeds_say():
    values, others = {1: 60.0, 2: 60.1, 3: 60.0}, {1: 61.0, 2: 61.1, 3: 61.05}
    assert judge(values, others).word == "better"
    verdict = judge(values, others, noise_mm=1.5)
    assert verdict.word == "undecided"
    assert "within the noise of rounding (1.5 mm)" in str(verdict)
    assert judge(values, others, noise_mm=0.9).word == "better"
