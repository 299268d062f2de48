"""Decisions between two arms, against scipy, statsmodels and simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from handssl.stats.decision import Pair, decide
from handssl.stats.moderation import moderated, variance_prior
from handssl.stats.power import equivalence_power, seeds_to_settle, t_power


def by_seed(values):
    return dict(enumerate(np.asarray(values).tolist(), 1))


def arms(relative, contrastive, noise_mm=0.0):
    return Pair("relative", "contrastive", by_seed(relative), by_seed(contrastive), noise_mm)


def draw(random, means, sd=1.0, seeds=3):
    """Arms of several transformations with true differences, in seeds with levels of their own."""
    level = random.normal(60.0, 3.0, seeds)
    return {
        f"t{i}": arms(level + mm + random.normal(0, sd, seeds), level) for i, mm in enumerate(means)
    }


@pytest.mark.parametrize("seed", range(10))
def test_the_numbers_are_those_of_the_paired_t_test_and_of_two_one_sided_tests(seed):
    random = np.random.default_rng(seed)
    relative, contrastive = random.normal(60.0, 1.0, (2, 5))
    found = decide({"rotate": arms(relative, contrastive)}, margin_mm=2.0)["rotate"]
    test = stats.ttest_rel(relative, contrastive)
    low, high = test.confidence_interval(0.95)
    ours = (found.p, found.low, found.high, found.correlation, found.p_equivalent)
    both = ttost_paired(relative, contrastive, -2.0, 2.0)[0]
    correlation = np.corrcoef(relative, contrastive)[0, 1]
    assert ours == pytest.approx((test.pvalue, low, high, correlation, both))


def test_holms_adjustment_is_that_of_statsmodels_over_all_pairs():
    found = decide(draw(np.random.default_rng(1), (-9.0, -2.0, 0.3))).values()
    expected = multipletests([one.p for one in found], method="holm")[1]
    assert [one.p_holm for one in found] == pytest.approx(expected.tolist())


def test_a_pair_without_a_test_counts_in_the_family():
    pair = arms((60.0, 60.9, 60.1), (62.0, 63.0, 62.2))
    alone = decide({"a": pair})["a"]
    lost = decide({"a": pair, "b": arms((60.0,), (70.0,)), "c": arms((math.inf, 1), (1, 2))})
    assert lost["a"].p_holm == pytest.approx(3 * alone.p)
    assert (str(lost["b"]), str(lost["c"])) == (
        "undecided (relative -10.0 mm, one seed)",
        "undecided (diverged in 1 of 2 seeds)",
    )


def test_arms_that_share_no_seed_are_undecided():
    pair = Pair("relative", "contrastive", {1: 60.0}, {2: 60.0})
    assert str(decide({"a": pair}, margin_mm=1.0)["a"]) == "undecided (no seed has both arms)"


def test_equivalence_is_decided_within_the_margin_alone_and_wins_over_a_small_difference():
    pair = arms((60.3, 61.31, 62.3, 63.3), (60.0, 61.0, 62.0, 63.0))
    words = {mm: decide({"a": pair}, margin_mm=mm)["a"].word for mm in (0.0, 0.2, 1.0)}
    assert words == {0.0: "contrastive", 0.2: "contrastive", 1.0: "equivalent"}
    found = str(decide({"a": pair}, margin_mm=1.0)["a"])
    assert found.startswith("equivalent (relative +0.3 mm, +0.3 to +0.3, within 1 mm, Holm p <.001")


def test_what_rounding_alone_reaches_is_neither_better_nor_equivalent():
    relative, contrastive = (59.0, 60.01, 61.0), (60.0, 61.0, 62.0)
    assert decide({"a": arms(relative, contrastive)})["a"].word == "relative"
    noisy = decide({"a": arms(relative, contrastive, 1.5)}, margin_mm=1.2)["a"]
    assert noisy.word == "undecided"
    # 1.5 mm over 3 seeds is 1.0 mm over 7.
    assert "within the noise of rounding (1.5 mm); about 7 seeds would settle it" in str(noisy)
    assert decide({"a": arms(relative, contrastive)}, margin_mm=1.2)["a"].word == "equivalent"


@pytest.mark.parametrize(
    ("means", "margin"), [((0.0,) * 4, 0.0), ((0.0,) * 4, 0.4), ((1.2, -1.2, 1.2, 1.2), 1.2)]
)
def test_a_wrong_word_is_said_in_at_most_one_study_of_twenty(means, margin, monkeypatch):
    monkeypatch.setattr(
        "handssl.stats.decision._settled", lambda *_: None
    )  # takes most of the time
    random, studies, wrong = np.random.default_rng(0), 150, 0
    for _ in range(studies):
        found = decide(draw(random, means, sd=0.8, seeds=4), margin_mm=margin).values()
        # Arms without a difference must not be told apart, others at the margin not be equivalent.
        wrong += any(
            o.is_decided if mean == 0 else o.word == "equivalent"
            for o, mean in zip(found, means, strict=True)
        )
    assert wrong / studies <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize(("mm", "margin"), [(1.0, 0.0), (0.3, 1.5)])
def test_the_seeds_that_would_settle_it_do_so_in_four_of_five_studies(mm, margin):
    seeds = seeds_to_settle(mm, 1.2, margin_mm=margin)
    differences = np.random.default_rng(2).normal(mm, 1.2, (4000, seeds))
    mean, error = differences.mean(1), differences.std(1, ddof=1) / math.sqrt(seeds)
    critical = stats.t.ppf([0.975, 0.95], seeds - 1)
    told = np.abs(mean) > critical[0] * error
    equal = np.abs(mean) + critical[1] * error < margin
    settled = equal.mean() if margin else told.mean()
    assert 0.78 < settled < 0.90
    few = seeds_to_settle(mm, 1.2, margin_mm=margin) - 1
    assert (
        max(
            t_power(mm / 1.2 * math.sqrt(few), few - 1),
            equivalence_power(mm / 1.2 * math.sqrt(few), margin / 1.2 * math.sqrt(few), few - 1),
        )
        < 0.8
    )


def test_a_difference_at_no_reach_is_not_settled_by_a_thousand_seeds():
    found = decide({"a": arms((60.0, 70.0, 50.0), (60.1, 50.0, 70.2))})["a"]
    assert str(found).endswith("; 1,000 seeds would not settle it)")


def test_moderated_variances_have_the_prior_they_were_drawn_from():
    random = np.random.default_rng(3)
    true = 4.0 * 6.0 / random.chisquare(6.0, 20_000)
    prior = variance_prior(true * random.chisquare(3, true.size) / 3, [3] * true.size)
    assert prior.freedom == pytest.approx(6.0, rel=0.1)
    assert prior.variance == pytest.approx(4.0, rel=0.05)
    equal = variance_prior([1.0, 1.2, 0.9], [2, 2, 2])
    assert moderated(1.2, 2, equal) == (pytest.approx(3.1 / 3), math.inf)


def test_the_moderated_reading_is_stated_and_decides_nothing():
    pairs = draw(np.random.default_rng(11), (-2.5,) * 6, sd=1.0)
    found = decide(pairs).values()
    assert any(o.p_moderated < 0.05 and o.word == "undecided" for o in found)
