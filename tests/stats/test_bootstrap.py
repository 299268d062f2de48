"""The crossed bootstrap: equal to a naive double loop, and intervals that cover what they claim."""

import math
import time

import numpy as np
import pytest
from scipy import stats

from handssl.stats.bootstrap import group_weights, resampled, uncertain

STUDIES, RESAMPLES, GROUPS = 200, 200, 30


def naive(errors, groups, weights, of):
    """Write every resample out: each hand as often as its group was drawn."""
    found = [of(errors[np.isfinite(errors)])]
    for row in weights:
        hands = [errors[hand] for hand in range(len(errors)) for _ in range(row[groups[hand]])]
        values = np.concatenate(hands)
        found.append(of(values[np.isfinite(values)]))
    return np.array(found)


@pytest.mark.parametrize(("name", "of"), [("median", np.median), ("mean", np.mean)])
@pytest.mark.parametrize(("hands", "count"), [(7, 7), (40, 9), (41, 41), (200, 60)])
def test_a_resample_is_what_a_loop_over_its_hands_gives(name, of, hands, count):
    random = np.random.default_rng(hands)
    groups = np.concatenate((np.arange(count), random.integers(0, count, hands - count)))
    errors = np.round(random.gamma(2.0, 9.0, (hands, 5)), 1)  # with ties
    errors[random.random(errors.shape) < 0.1] = np.nan
    weights = group_weights(count, 60, random)
    found = resampled(errors, groups, weights, name)
    np.testing.assert_allclose(found, naive(errors, groups, weights, of), rtol=1e-12)


def test_a_resample_without_any_error_has_no_value():
    errors, weights = np.array([[np.nan], [4.0]]), np.array([[2, 0], [1, 1]], dtype=np.uint16)
    for name in ("median", "mean"):
        found = resampled(errors, np.array([0, 1]), weights, name)
        np.testing.assert_array_equal(found, [4.0, np.nan, 4.0])


def test_groups_are_drawn_with_replacement_and_the_same_generator_draws_the_same():
    one, two = (group_weights(30, 500, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one.sum(axis=1) == 30).all()
    # Poisson with mean 1, nearly: the variance of a count is 1 - 1 / 30.
    assert one.mean() == 1.0
    assert one.var() == pytest.approx(1 - 1 / 30, rel=0.05)


def test_seeds_and_groups_are_crossed_as_a_double_loop_crosses_them():
    random = np.random.default_rng(1)
    values = random.normal(size=(4, 301))
    found = uncertain(values, np.random.default_rng(7), groups=50)
    drawn = np.random.default_rng(7).multinomial(4, [0.25] * 4, size=300)
    crossed = []
    for resample, counts in enumerate(drawn, start=1):
        chosen = [values[seed, resample] for seed in range(4) for _ in range(counts[seed])]
        crossed.append(np.mean(chosen))
    assert found.percentile == pytest.approx(tuple(np.quantile(crossed, (0.025, 0.975))))
    assert found.mm == pytest.approx(values[:, 0].mean())


def test_the_interval_over_seeds_is_students():
    random = np.random.default_rng(2)
    values = random.normal(size=(5, 201))
    found = uncertain(values, random, groups=50)
    of_scipy = stats.ttest_1samp(values[:, 0], 0.0).confidence_interval(0.95)
    assert found.seeds == pytest.approx((of_scipy.low, of_scipy.high))


def test_one_seed_says_nothing_about_others():
    found = uncertain(
        np.random.default_rng(3).normal(size=(1, 201)), np.random.default_rng(0), groups=9
    )
    assert np.isnan([*found.both, *found.seeds, *found.percentile]).all()
    assert found.hands[0] < found.hands[1]


def covered(seeds, of_seeds, of_groups, of_rest, *, groups=GROUPS, per_group=1):
    """Return the share of studies whose intervals cover 0, by interval.

    Errors are seed + group + rest, with known standard deviations and mean 0.
    """
    random, hits = np.random.default_rng(11), dict.fromkeys(("both", "hands", "percentile"), 0)
    number = np.repeat(np.arange(groups), per_group)
    for _ in range(STUDIES):
        weights = group_weights(groups, RESAMPLES, random)
        shared = of_groups * random.normal(size=groups)[number]
        values = [
            resampled(
                (shared + of_seeds * random.normal() + of_rest * random.normal(size=len(number)))[
                    :, None
                ],
                number,
                weights,
                "mean",
            )
            for _ in range(seeds)
        ]
        found = uncertain(np.stack(values), random, groups=groups)
        for name in hits:
            low, high = getattr(found, name)
            hits[name] += low <= 0.0 <= high
    return {name: binomial(count) for name, count in hits.items()}


def binomial(count):
    """Return the 99 % interval of a share by Clopper and Pearson."""
    found = stats.binomtest(count, STUDIES).proportion_ci(0.99, method="exact")
    return found.low, found.high


@pytest.mark.parametrize(
    ("seeds", "of_seeds", "of_groups"), [(3, 1.0, 0.0), (3, 0.0, 2.0), (5, 0.3, 2.0)]
)
def test_the_interval_for_seeds_and_hands_covers_where_either_varies(seeds, of_seeds, of_groups):
    low, high = covered(seeds, of_seeds, of_groups, 0.5)["both"]
    assert high >= 0.94, (low, high)


def test_resampling_hands_alone_covers_too_rarely_where_seeds_vary():
    """The naive bootstrap of one level, the trivial competitor."""
    found = covered(3, 1.0, 2.0, 0.5)
    assert found["hands"][1] < 0.85
    assert found["both"][1] >= 0.94


def test_plain_percentiles_cover_too_rarely_with_three_seeds_and_well_with_many():
    few = covered(3, 1.0, 0.1, 0.1)["percentile"]
    assert few[1] < 0.85  # at most 1 - 2^(1 - 3) = 0.75
    many = covered(12, 1.0, 2.0, 0.5)["percentile"]
    assert many[1] >= 0.93


def test_hands_of_one_group_are_no_independent_evidence():
    """Groups that share an error: resampling hands instead of groups would cover too rarely."""
    clustered = covered(3, 0.2, 2.0, 0.5, groups=20, per_group=5)["both"]
    assert clustered[1] >= 0.93
    random, hits = np.random.default_rng(5), 0
    number = np.repeat(np.arange(20), 5)
    for _ in range(STUDIES):
        errors = 2.0 * random.normal(size=20)[number] + 0.5 * random.normal(size=100)
        weights = group_weights(100, RESAMPLES, random)
        values = resampled(errors[:, None], np.arange(100), weights, "mean")[None]
        low, high = uncertain(values, random, groups=100).hands
        hits += low <= 0.0 <= high
    assert binomial(hits)[1] < 0.85


def test_medians_of_two_thousand_hands_take_a_tenth_of_a_second_for_a_hundred_resamples():
    """So that 20 cells x 3 seeds x 2,000 resamples take about ten seconds of one core."""
    random = np.random.default_rng(6)
    errors, groups = random.gamma(2.0, 10.0, (2000, 20)), np.arange(2000)
    weights = group_weights(2000, 500, random)
    start = time.process_time()
    found = resampled(errors, groups, weights, "median")
    assert time.process_time() - start < 1.0
    # The standard error of a median, by the density there.
    values = errors.ravel()
    density = stats.gaussian_kde(values)(np.median(values))[0]
    expected = 1.0 / (2.0 * density * math.sqrt(values.size))
    assert np.std(found[1:]) == pytest.approx(expected, rel=0.15)
