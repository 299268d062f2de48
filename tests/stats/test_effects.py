"""Effects against plain loops, and intervals that hold as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from handssl.bench.effects import bench_effects
from handssl.scheduling.simulation import synthetic_curves
from handssl.stats.biased import finisher_effects
from handssl.stats.contrasts import effect_names
from handssl.stats.difference import difference_effects
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.skeleton import skeleton, subsets
from tests.reference import effects as naive

NAMES = ("blur", "cutout", "noise", "rotate", "sobel", "translate")


@pytest.fixture(scope="module")
def curves():
    return synthetic_curves(NAMES, (1, 2, 3), 9)


def sample(curves, block, cells, coset, grace=3):
    chosen = skeleton(curves.names, cells, coset)
    final = curves.final(block)
    early = {one: curve[:grace] for one, curve in curves.values[block].items()}
    return BlockSample(early, {one: final[one] for one in chosen})


@pytest.mark.parametrize("name", effect_names(NAMES, pairs=True))
def test_effects_of_the_full_grid_are_differences_of_means(curves, name):
    found = full_effects([curves.final(1)], pairs=True)[name]
    assert found.mm == pytest.approx(naive.effect(curves.final(1), name), abs=1e-9)
    assert found.low == found.mm == found.high  # exact for this seed
    assert math.isnan(found.seeds_low)


def test_several_blocks_give_their_mean_with_an_interval_around_it(curves):
    blocks = [curves.final(block) for block in (1, 2, 3)]
    for name, found in full_effects(blocks).items():
        assert found.mm == pytest.approx(sum(naive.effect(one, name) for one in blocks) / 3)
        assert found.seeds_low < found.mm < found.seeds_high


def test_a_skeleton_of_all_compositions_gives_the_effects_of_the_full_grid(curves):
    everything = difference_effects([sample(curves, 1, 64, 0)])
    for name, found in everything.items():
        assert found.mm == pytest.approx(naive.effect(curves.final(1), name), abs=1e-9)
        assert found.high - found.low == pytest.approx(0.0, abs=1e-9)


def test_over_all_cosets_the_estimator_is_right_on_average(curves):
    cosets = [difference_effects([sample(curves, 1, 16, coset)]) for coset in range(4)]
    for name in NAMES:
        mean = sum(one[name].mm for one in cosets) / 4
        assert mean == pytest.approx(naive.effect(curves.final(1), name), abs=0.12)


def test_values_that_follow_from_early_ones_need_no_skeleton_beyond_two_parameters(curves):
    """Where the regression is exact, so is the estimator, and it knows."""
    final = {one: 20 + 0.5 * curve[2] for one, curve in curves.values[1].items()}
    chosen = skeleton(NAMES, 8, 1)
    early = {one: curve[:3] for one, curve in curves.values[1].items()}
    block = BlockSample(early, {one: final[one] for one in chosen})
    for name, found in difference_effects([block]).items():
        assert found.mm == pytest.approx(naive.effect(final, name), abs=1e-9)
        assert found.high - found.low == pytest.approx(0.0, abs=1e-6)


def test_a_skeleton_too_small_for_its_regression_is_refused(curves):
    early = {one: curve[:3] for one, curve in curves.values[1].items()}
    with pytest.raises(ValueError, match="4 compositions or more, got 2"):
        difference_effects([BlockSample(early, {(): 80.0, ("blur",): 81.0})])


def noisy_block(seed, outlier_mm=0.0, cells=16):
    """Early values without relation to the last ones, of which one is far away."""
    rng = np.random.default_rng(seed)
    everything = subsets(NAMES)
    early = {tuple(sorted(one)): [float(rng.normal(60, 1))] for one in everything}
    early[()] = [early[()][0] + outlier_mm]
    final = {one: 50.0 - 2.0 * ("blur" in one) + float(rng.normal()) for one in early}
    chosen = [tuple(sorted(one)) for one in skeleton(NAMES, cells, 0)]
    return BlockSample(early, {one: final[one] for one in chosen}), final


@pytest.mark.parametrize("cells", [8, 16, 32])
def test_leave_one_out_errors_are_those_of_lines_fitted_without_the_cell(cells):
    blocks = [noisy_block(seed, cells=cells)[0] for seed in (1, 2)]
    found = difference_effects(blocks, slope=0.5)["blur"]
    variance = sum(naive.left_out_variance(blocks, number, 0.5, 64) for number in (0, 1)) / 4
    freedom = 2 * (cells - 2)
    assert (found.high - found.low) / 2 == pytest.approx(
        stats.t.ppf(0.975, found.freedom) * math.sqrt(variance), rel=1e-9
    )
    assert cells - 2 <= found.freedom <= freedom


def test_where_early_values_say_nothing_the_estimate_is_near_that_of_the_skeleton_alone():
    own, alone, plain = [], [], []
    for seed in range(40):
        block, final = noisy_block(seed, outlier_mm=40.0)
        truth = naive.effect(final, "blur")
        for errors, slope in ((own, None), (alone, 0.0), (plain, 1.0)):
            errors.append(difference_effects([block], slope=slope)["blur"].mm - truth)
    rms = [math.sqrt(sum(e * e for e in errors) / len(errors)) for errors in (own, alone, plain)]
    assert rms[0] <= 1.10 * min(rms[1:])


def small_blocks(seed, outlier_mm):
    """Three blocks of 8 compositions, half in the skeleton, whose early values say much."""
    rng, names = np.random.default_rng(seed), ("blur", "noise", "rotate")
    everything, made = subsets(names), []
    for number in range(3):
        final = {one: 50.0 + float(rng.normal(0, 2)) for one in everything}
        early = {one: [mm + 10 + float(rng.normal(0, 0.7))] for one, mm in final.items()}
        chosen = skeleton(names, 4, number)
        if number == 0:
            outside = next(one for one in everything if one not in chosen)
            early[outside] = [early[outside][0] + outlier_mm]
        made.append((BlockSample(early, {one: final[one] for one in chosen}), final))
    return made


@pytest.mark.parametrize(("outlier_mm", "ratio"), [(0.0, 0.6), (40.0, 1.10)])
def test_small_skeletons_use_early_values_but_no_early_outlier(outlier_mm, ratio):
    squares = np.zeros(2)
    for seed in range(60):
        made = small_blocks(seed, outlier_mm)
        truth = np.mean([naive.effect(final, "blur") for _, final in made])
        blocks = [block for block, _ in made]
        found = [difference_effects(blocks, slope=slope)["blur"].mm for slope in (None, 0.0)]
        squares += (np.array(found) - truth) ** 2
    assert math.sqrt(squares[0] / squares[1]) <= ratio


def test_skeletons_with_less_freedom_than_eight_cells_have_no_slope():
    block = noisy_block(3)[0]
    few = BlockSample(block.early, dict(list(block.final.items())[:6]))
    assert difference_effects([few])["blur"] == difference_effects([few], slope=0.0)["blur"]
    four = BlockSample(block.early, dict(list(block.final.items())[:4]))
    twice, thrice = ([four] * number for number in (2, 3))  # 6 and 9 degrees of freedom
    assert difference_effects(twice)["blur"] == difference_effects(twice, slope=0.0)["blur"]
    assert difference_effects(thrice)["blur"] != difference_effects(thrice, slope=0.0)["blur"]


def test_several_skeletons_also_give_the_interval_for_seeds_in_general():
    blocks = [noisy_block(seed)[0] for seed in (1, 2, 3)]
    found = difference_effects(blocks, slope=0.0)["blur"]
    each = [difference_effects([block], slope=0.0)["blur"].mm for block in blocks]
    interval = stats.ttest_1samp(each, 0.0).confidence_interval()
    assert (found.seeds_low, found.seeds_high) == pytest.approx(tuple(interval))


def test_completed_trials_alone_may_determine_nothing():
    few = finisher_effects([{(): 80.0, ("blur",): 79.0}], NAMES)
    assert all(math.isnan(effect.mm) for effect in few.values())


def test_completed_trials_of_a_whole_grid_are_the_grid(curves):
    found = finisher_effects([curves.final(1)], NAMES)
    for name, effect in found.items():
        assert effect.mm == pytest.approx(naive.effect(curves.final(1), name), abs=1e-9)


def coverage(repeats, seed):
    held, tried = 0, 0
    for number in range(repeats):
        curves = synthetic_curves(NAMES, (1,), 9, seed=seed + number)
        rows = bench_effects(curves, grace_epochs=1, repeats=1, seed=number)
        (row,) = [one for one in rows if "of 16, difference" in one.name]
        held += round(row.coverage * len(NAMES))
        tried += len(NAMES)
    return held / tried


def test_intervals_hold_about_as_often_as_they_say():
    # 60 x 6 intervals: 0.90 is more than four standard errors below 0.95 when they are dependent
    # in sixes no more than here.
    assert coverage(60, seed=1000) >= 0.90


@pytest.mark.slow
def test_intervals_hold_over_two_thousand_made_up_studies():
    assert coverage(2000, seed=5000) >= 0.94


def test_a_skeleton_mends_what_early_stopping_does_to_effects(curves):
    rows = {row.name: row for row in bench_effects(curves, grace_epochs=1, repeats=20)}
    plain, mended = (rows[n] for n in rows if "last value" in n or "of 32, difference" in n)
    assert rows["full grid"].error_mm == 0
    assert mended.error_mm < plain.error_mm
    assert rows["full grid"].share == 1 > mended.share > plain.share
