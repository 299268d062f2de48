"""`handssl bench designs` in small: what reports and plans say against worlds of known truth."""

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from handssl.bench.designs import bench_designs, bench_slopes, chosen, text
from handssl.bench.designs.worlds import WORLDS, world
from handssl.cli.app import invoke
from handssl.scheduling.simulation import read_curves
from tests.reference.effects import effect

CURVES = Path(__file__).parents[2] / "benchmarks" / "curves" / "compositions.csv"


@pytest.fixture(scope="module")
def rows():
    names = ("empty grid", "early halving", "small halving", "entangled fraction")
    return bench_designs(read_curves(CURVES), studies=30, pilots=0, designs=chosen(names))


@pytest.mark.parametrize("name", ["three-factor", "heavy tails"])
def test_a_world_has_its_effects_and_its_twin_no_main_effect_or_pair(name):
    own = world(name, 4)
    twin = own.without_low_orders()
    for one in (own, twin):
        values = dict(zip(one.cells, one.truth.tolist(), strict=True))
        pairs = [":".join(pair) for pair in combinations(own.names, 2)]
        low = [abs(effect(values, each)) for each in (*own.names, *pairs)]
        assert max(low) < 1e-9 if one is twin else min(low) > 1e-3
    assert np.ptp(twin.truth) > 1


def test_early_values_have_the_correlation_of_their_world():
    own = world("anti-correlated starts", 7)
    draw = np.random.default_rng(0)
    blocks = [own.block(draw) for _ in range(30)]
    for epoch in (1, 3, 8):
        found = np.mean([np.corrcoef(one[:, epoch - 1], one[:, -1])[0, 1] for one in blocks])
        # 30 x 128 values: a standard error of 0.016 at most.
        assert found == pytest.approx(own.starts[epoch - 1], abs=0.05)


def test_intervals_hold_within_the_margin_of_few_studies(rows):
    for row in rows:
        own = [one for one in row.coverage if one.estimator == "report"]
        assert own[-1].reading == "seeds in general"
        for one in own:
            assert one.mean.value + one.mean.half >= 0.93
        assert own[-1].mean.value - own[-1].mean.half <= 0.98
        assert row.lost == 0


def test_families_without_effects_err_in_no_more_than_five_percent(rows):
    for row in rows:
        for share in (row.families.main, row.families.pairs):
            assert share.value - share.half <= 0.05


def test_the_set_holds_the_best_and_fresh_seeds_do_not_flatter(rows):
    for row in rows:
        own = row.winners
        assert own.near.value + own.near.half >= 0.95
        assert abs(own.confirmed_mm.value) <= 0.1 + 1.5 * own.confirmed_mm.half  # of four
    empty = rows[0].winners
    assert empty.selected_mm.value + empty.selected_mm.half < -2  # of 128 equal cells


def test_a_plan_promises_the_power_of_its_own_kind_of_world(rows):
    for row in rows[:2]:
        power = row.power
        ends = [(one.high - one.low) / 2 for one in (power.given, power.simulated)]
        assert abs(power.given.share - power.simulated.share) <= 0.04 + 1.5 * math.hypot(*ends)


def test_the_estimator_is_never_much_worse_than_the_better_competitor():
    sizes = ((7, 16, 3, 3), (3, 4, 3, 3))
    for row in bench_slopes(read_curves(CURVES), studies=20, worlds=WORLDS[:3], sizes=sizes):
        assert row.ratio - row.half <= 1.10
        assert row.own_mm < row.alone_mm  # the first rung says much of the last


def test_the_page_has_every_design_and_the_command_refuses_unknown_ones(rows, capfd):
    page = text(rows, [], "here")
    heads = [part.splitlines()[0] for part in page.split("## ")[1:] if "| early halving |" in part]
    assert len(heads) == 6 and heads[0] == "The designs" and heads[-1] == "Promised power"
    words = ["bench", "designs", "--curves", str(CURVES), "--design", "empty grit", "-q"]
    assert invoke(words) == 2
    assert "expected one of empty grid, recorded grid" in capfd.readouterr().err
