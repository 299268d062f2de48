"""Effects of whole grids against statsmodels, and what their intervals and p-values promise."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from handssl.stats.aliases import aliases
from handssl.stats.anova import all_contrasts, anova_by_order
from handssl.stats.contrasts import effect_names
from handssl.stats.difference import difference_effects
from handssl.stats.families import moderate, simultaneous_quantile
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.moderation import variance_prior
from handssl.stats.skeleton import confounded, skeleton, subsets
from tests.reference import effects as naive

NAMES = ("a", "b", "c", "d", "e")
EVERYTHING = [tuple(sorted(one)) for one in subsets(NAMES)]


def grid(rng, blocks, *, spread=None, names=NAMES):
    """Blocks of noise of 1 mm around 80 mm, with seed x effect deviations if asked."""
    cells = [tuple(sorted(one)) for one in subsets(names)]
    on = np.array([[name in cell for name in names] for cell in cells], dtype=float)
    found = []
    for _ in range(blocks):
        own = rng.normal(0, 1, len(names)) * (0 if spread is None else spread)
        mm = rng.normal(80, 3) + on @ own + rng.normal(size=len(cells))
        found.append(dict(zip(cells, mm.tolist(), strict=True)))
    return found


def table(blocks, names=NAMES):
    rows = [
        {"y": y, "block": b, "cell": "+".join(c), **{n: 1 if n in c else -1 for n in names}}
        for b, block in enumerate(blocks)
        for c, y in block.items()
    ]
    return pd.DataFrame(rows)


def without(blocks, *missing):
    return [{c: y for c, y in one.items() if (b, c) not in missing} for b, one in enumerate(blocks)]


def test_the_moments_of_log_variances_are_those_of_the_prior():
    rng = np.random.default_rng(3)
    true = 2.0 * 8 / rng.chisquare(8, 20_000)
    found = variance_prior(true * rng.chisquare(2, 20_000) / 2, [2] * 20_000)
    assert found.freedom == pytest.approx(8, rel=0.1)
    assert found.variance == pytest.approx(2.0, rel=0.06)


def test_small_variances_are_drawn_to_those_of_their_family_and_large_ones_are_not():
    own = [0.5, 1.0, 1.5, 5.0]  # 8 degrees of freedom together
    prior = variance_prior(own, [2] * 4)
    assert prior.freedom > 3  # at most effects - 1 count
    found, freedom = moderate(np.array(own), 2)
    assert freedom == 3 + 2
    assert found.tolist() == [max(v, (3 * prior.variance + 2 * v) / 5) for v in own]
    two, freedom = moderate(np.array([1.0, 2.0]), 2)
    assert (two.tolist(), freedom) == ([1.0, 2.0], 2)


SEVEN = (*NAMES, "f", "g")


@pytest.mark.parametrize(("blocks", "least"), [(2, 0.73), (3, 0.80), (5, 0.84)])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_intervals_for_seeds_in_general_hold_and_are_narrower_than_plain_ones(
    blocks, least, spread
):
    rng = np.random.default_rng(blocks)
    held, width, plain = [], 0.0, 0.0
    for _ in range(120):
        one = grid(rng, blocks, spread=np.array([0.05] * 6 + [spread]), names=SEVEN)
        found, own = full_effects(one).values(), full_effects(one, moderated=False).values()
        held.append([effect.seeds_low <= 0 <= effect.seeds_high for effect in found])
        width += sum(effect.seeds_high - effect.seeds_low for effect in found)
        plain += sum(effect.seeds_high - effect.seeds_low for effect in own)
    # 840 intervals: a standard error of 0.8 %; 120 of the effect with ten times the variance: 3 %.
    assert np.mean(held) >= 0.91
    assert np.mean(held, axis=0)[-1] >= least
    assert width < plain


def test_of_families_without_effects_few_have_one_with_a_small_p_of_holm():
    rng = np.random.default_rng(8)
    studies = [full_effects(grid(rng, 3)).values() for _ in range(250)]
    assert np.mean([min(e.p for e in one) < 0.05 for one in studies]) > 0.10
    assert np.mean([min(e.holm for e in one) < 0.05 for one in studies]) <= 0.05 + 0.03
    outside = [any(not e.together[0] <= 0 <= e.together[1] for e in one) for one in studies]
    assert np.mean(outside) <= 0.05 + 0.03


@pytest.mark.parametrize(("size", "freedom"), [(3, 2), (7, 14)])
def test_simultaneous_intervals_are_at_least_as_wide_as_those_of_the_multivariate_t(size, freedom):
    found = simultaneous_quantile(size, freedom, 0.95)
    t = stats.multivariate_t(np.zeros(size), np.eye(size), df=freedom, seed=1)
    inside = t.cdf(np.full(size, found), lower_limit=np.full(size, -found))
    assert 0.95 - 2e-3 <= inside <= 0.975


def test_a_missing_value_leaves_the_estimate_of_cells_and_blocks():
    blocks = without(grid(np.random.default_rng(1), 3), (1, ("a", "b")), (2, ("c",)), (2, ()))
    fitted = ols("y ~ C(cell) + C(block)", table(blocks)).fit()
    cells = pd.DataFrame({"cell": ["+".join(c) for c in EVERYTHING], "block": 0})
    means = dict(zip(EVERYTHING, fitted.predict(cells), strict=True))
    for name, effect in full_effects(blocks, pairs=True).items():
        assert effect.mm == pytest.approx(naive.effect(means, name), abs=1e-8)
        assert effect.low < effect.mm < effect.high


def test_a_composition_without_any_value_leaves_main_effects_and_pairs_of_a_linear_model():
    missing = [(b, ("a", "b")) for b in range(2)]
    blocks = without(grid(np.random.default_rng(2), 2), *missing, (0, ("e",)))
    pairs = " + ".join(":".join(pair) for pair in itertools.combinations(NAMES, 2))
    fitted = ols(f"y ~ C(block) + {' + '.join(NAMES)} + {pairs}", table(blocks)).fit()
    found = full_effects(blocks, pairs=True)
    assert len(found) == 15
    for name, effect in found.items():
        assert effect.mm == pytest.approx(2 * fitted.params[name], abs=1e-8)
        variance = 4 * fitted.bse[name] ** 2 - 4 * fitted.mse_resid / 64
        half = stats.t.ppf(0.975, fitted.df_resid) * math.sqrt(variance)
        assert (effect.high - effect.low) / 2 == pytest.approx(half, rel=1e-6)


def test_values_that_do_not_determine_main_effects_are_refused():
    few = [{c: 80.0 for c in EVERYTHING if "a" in c or ("b" in c and "c" not in c)}]
    few[0] = {c: y for c, y in few[0].items() if len(c) == 1} | {(*NAMES,): 81.0}
    with pytest.raises(ValueError, match="determine 5 main effects, got 3 of 32 compositions"):
        full_effects(few)


def test_bounds_hold_every_estimate_with_missing_values_in_the_observed_range():
    whole = grid(np.random.default_rng(4), 2)
    missing = [(0, ("a",)), (1, ("a", "b", "c")), (1, ("e",))]
    blocks = without(whole, *missing)
    ends = [(min(one.values()), max(one.values())) for one in blocks]
    found = {name: [] for name in effect_names(NAMES)}
    for choice in itertools.product((0, 1), repeat=3):
        filled = [dict(one) for one in blocks]
        for (block, cell), end in zip(missing, choice, strict=True):
            filled[block][cell] = ends[block][end]
        for name, values in found.items():
            values.append(np.mean([naive.effect(one, name) for one in filled]))
    for name, effect in full_effects(blocks).items():
        assert effect.bounds == pytest.approx((min(found[name]), max(found[name])))
        assert effect.bounds[0] <= effect.mm <= effect.bounds[1]
    for effect in full_effects(whole).values():
        assert effect.bounds == pytest.approx((effect.mm, effect.mm))


@pytest.mark.parametrize("lost", [0.03, 0.15])
def test_intervals_of_grids_with_missing_values_hold(lost):
    rng = np.random.default_rng(int(100 * lost))
    here, general = [], []
    for _ in range(80):
        whole = grid(rng, 3)
        blocks = [{c: y for c, y in one.items() if rng.random() > lost} for one in whole]
        for name, effect in full_effects(blocks).items():
            truth = np.mean([naive.effect(one, name) for one in whole])
            here.append(effect.low - 1e-9 <= truth <= effect.high + 1e-9)
            general.append(effect.seeds_low <= 0 <= effect.seeds_high)
    assert np.mean(here) >= 0.91
    assert np.mean(general) >= 0.91


def test_the_analysis_of_variance_is_that_of_a_linear_model():
    names = ("a", "b", "c")
    blocks = grid(np.random.default_rng(6), 3, names=names)
    rows = table(blocks, names)
    found = anova_by_order(blocks)
    model = anova_lm(ols("y ~ C(block) + a * b * c", rows).fit())
    between = model.drop(index=["C(block)", "Residual"])
    for one in found:
        own = between[[name.count(":") + 1 == one.order for name in between.index]]
        assert one.effects == len(own)
        assert one.share == pytest.approx(own["sum_sq"].sum() / between["sum_sq"].sum())
        f = own["sum_sq"].sum() / len(own) / model["mean_sq"]["Residual"]
        assert one.f == pytest.approx(f)
        assert one.p == pytest.approx(stats.f.sf(f, len(own), model["df"]["Residual"]))
    assert sum(one.share for one in found) == pytest.approx(1)
    assert all(math.isnan(one.f) for one in anova_by_order(blocks[:1]))


def test_every_contrast_of_a_grid_is_a_difference_of_means():
    block = grid(np.random.default_rng(7), 1)[0]
    found = all_contrasts([block])
    assert len(found) == 31
    for name in effect_names(NAMES, pairs=True):
        assert found[name] == pytest.approx(naive.effect(block, name))


def test_effects_confounded_in_a_skeleton_are_aliases_until_opposite_cosets_separate_them():
    one = aliases([skeleton(NAMES, 16, 0)], NAMES)
    together = {name: set(group) - {name} for group in confounded(NAMES, 16) for name in group}
    assert {name: set(found) for name, found in one.items() if found} == together
    both = aliases([skeleton(NAMES, 16, coset) for coset in (0, 1)], NAMES)
    assert not any(both.values())


def sampled(blocks, cells, *missing):
    """Blocks of which only a skeleton has last values, without those that are missing."""
    samples = []
    for b, block in enumerate(blocks):
        chosen = [tuple(sorted(one)) for one in skeleton(NAMES, cells, b)]
        final = {c: math.nan if (b, c) in missing else block[c] for c in chosen}
        samples.append(BlockSample({c: [y - 5 + 0.1 * len(c)] for c, y in block.items()}, final))
    return samples


def test_pairs_that_a_skeleton_confounds_name_their_aliases_and_have_no_value():
    found = difference_effects(sampled(grid(np.random.default_rng(1), 1), 8), pairs=True)
    mixed = {name: one for name, one in found.items() if ":" in name and one.aliases}
    assert mixed
    assert all(math.isnan(one.mm) for one in mixed.values())
    assert all(math.isfinite(one.mm) for name, one in found.items() if name not in mixed)


def test_a_skeleton_that_lacks_a_value_gives_the_main_effects_of_a_linear_model():
    blocks = grid(np.random.default_rng(9), 3)
    missing = [(0, skeleton(NAMES, 16, 0)[3]), (2, skeleton(NAMES, 16, 2)[5])]
    missing = [(b, tuple(sorted(c))) for b, c in missing]
    samples = sampled(blocks, 16, *missing)
    rows = table([{c: y for c, y in s.final.items() if math.isfinite(y)} for s in samples])
    fitted = ols(f"y ~ C(block) + {' + '.join(NAMES)}", rows).fit()
    whole = difference_effects(sampled(blocks, 16), slope=0.0)
    for name, effect in difference_effects(samples, slope=0.0).items():
        assert effect.mm == pytest.approx(2 * fitted.params[name], abs=1e-8)
        assert effect.bounds[0] < effect.mm < effect.bounds[1]
        assert whole[name].bounds == pytest.approx((whole[name].mm, whole[name].mm))


def test_intervals_of_skeletons_with_missing_values_hold():
    rng = np.random.default_rng(10)
    here, general = [], []
    for _ in range(60):
        blocks = grid(rng, 3)
        missing = [
            (b, tuple(sorted(c)))
            for b in range(3)
            for c in skeleton(NAMES, 16, b)
            if rng.random() < 0.1
        ]
        for name, effect in difference_effects(sampled(blocks, 16, *missing), slope=0.0).items():
            truth = np.mean([naive.effect(one, name) for one in blocks])
            here.append(effect.covers(truth))
            general.append(effect.seeds_low <= 0 <= effect.seeds_high)
    assert np.mean(here) >= 0.91
    assert np.mean(general) >= 0.91


def test_compositions_without_early_values_do_not_stop_the_estimate():
    rng = np.random.default_rng(11)
    block = grid(rng, 1)[0]
    (sample,) = sampled([block], 16)
    lost = next(c for c in sample.early if c not in sample.final)
    early = {c: [math.nan] if c == lost else x for c, x in sample.early.items()}
    found = difference_effects([BlockSample(early, sample.final)], slope=1.0)
    for name, effect in difference_effects([sample], slope=1.0).items():
        assert found[name].mm == pytest.approx(effect.mm, abs=2 * 3 / 32)
