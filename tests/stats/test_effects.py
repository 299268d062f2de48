"""Effects against plain loops, and intervals that hold as often as they say."""

from __future__ import annotations

import math

import pytest

from handssl.bench.effects import bench_effects
from handssl.scheduling.simulation import synthetic_curves
from handssl.stats.contrasts import effect_names, finisher_effects, full_effects
from handssl.stats.difference import BlockSample, difference_effects
from handssl.stats.skeleton import skeleton
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
    assert math.isnan(found.low)


def test_several_blocks_give_their_mean_with_an_interval_around_it(curves):
    blocks = [curves.final(block) for block in (1, 2, 3)]
    for name, found in full_effects(blocks).items():
        assert found.mm == pytest.approx(sum(naive.effect(one, name) for one in blocks) / 3)
        assert found.low < found.mm < found.high


def test_a_skeleton_of_all_compositions_gives_the_effects_of_the_full_grid(curves):
    everything = difference_effects([sample(curves, 1, 64, 0)])
    for name, found in everything.items():
        # What is left of the errors of leaving one out.
        assert found.mm == pytest.approx(naive.effect(curves.final(1), name), abs=0.05)
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
        (row,) = [one for one in rows if "of 16" in one.name]
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
    plain, mended = (rows[n] for n in rows if "last value" in n or "of 32" in n)
    assert rows["full grid"].error_mm == 0
    assert mended.error_mm < plain.error_mm
    assert rows["full grid"].share == 1 > mended.share > plain.share
