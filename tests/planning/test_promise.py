"""Power that a plan promises is the power that studies have."""

from __future__ import annotations

import itertools
import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from handssl.cli.app import invoke
from handssl.ledger.record import TrialRecord
from handssl.planning.promise import Design, Power, Regret, simulated_errors
from handssl.planning.recommendation import Designs, Option, blocks_for_paired, options
from handssl.planning.recorded import FILE, recorded_variance
from handssl.planning.variation import variation
from handssl.planning.winners import values_at_rungs
from handssl.scheduling.halving import Rules
from handssl.scheduling.simulation import read_curves
from handssl.scheduling.skeletons import deal
from handssl.stats.difference import difference_effects
from handssl.stats.full_grid import full_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.seed_variance import SeedVariance, seed_variance

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "c", "d")
GIVEN = SeedVariance(1.0, 0.3, 1.0, 0.4, 14)
CUBE = [
    tuple(n for n, on in zip(NAMES, row, strict=True) if on)
    for row in itertools.product((False, True), repeat=4)
]


def drawn(rng, gain, pair, blocks):
    """Draw studies without the code under test: noise per cell, main effects over seeds, a pair."""
    for _ in range(blocks):
        own = {n: mm + rng.normal(0, 0.3) for n, mm in gain.items()}
        level = rng.normal(0, 5)
        yield {
            c: level
            + sum(mm * (0.5 if n in c else -0.5) for n, mm in own.items())
            + pair * (1 if ("a" in c) == ("b" in c) else -1)
            + rng.normal(0, 1.0)
            for c in CUBE
        }


def estimated(kind, blocks, rng, number):
    if kind == "grid":
        return full_effects(blocks)
    dealt = deal(NAMES, 8, 1000 + number)
    chosen = [{c: own[c] for c in dealt.of(i)} for i, own in enumerate(blocks)]
    if kind == "fraction":
        early = [dict.fromkeys(CUBE, (0.0,)) for _ in blocks]
        samples = [BlockSample(*one) for one in zip(early, chosen, strict=True)]
        return difference_effects(samples, slope=0.0)
    spread = [float(np.std(list(own.values()))) for own in blocks]
    # An early value x = y + e has the correlation 0.8 with y if e has 0.75 times its spread.
    early = [
        {c: (mm + rng.normal(0, 0.75 * sd),) for c, mm in own.items()}
        for own, sd in zip(blocks, spread, strict=True)
    ]
    return difference_effects([BlockSample(*one) for one in zip(early, chosen, strict=True)])


@pytest.mark.parametrize("kind", ["grid", "halving", "fraction"])
def test_a_study_finds_an_effect_as_often_as_promised_from_given_variances(kind):
    rng, effect_mm, studies, blocks = np.random.default_rng(5), 1.4, 150, 4
    found = []
    for number in range(studies):
        gain = {n: effect_mm * float(rng.choice([-1, 1])) for n in NAMES}
        values = list(drawn(rng, gain, 0.4 * rng.choice([-1, 1]), blocks))
        effects = estimated(kind, values, rng, number)
        found.append(np.mean([not e.seeds_low <= 0 <= e.seeds_high for e in effects.values()]))
    cells = 16 if kind == "grid" else 8
    errors = simulated_errors(NAMES, Design(kind, cells, blocks, 0.8), GIVEN, studies=150)
    promised = errors.power(effect_mm)
    noise = math.hypot(np.std(found) / math.sqrt(studies), (promised.high - promised.low) / 3.92)
    assert 0.15 < promised.share < 0.99
    assert promised.share == pytest.approx(np.mean(found), abs=0.04 + 2 * noise)


def test_variances_are_recovered_from_grids_that_were_drawn_with_them():
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        gain = dict.fromkeys(NAMES, 1.0)
        found.append(seed_variance(list(drawn(rng, gain, 0.4, 4))))
    assert np.mean([one.noise_mm**2 for one in found]) == pytest.approx(1.0, abs=0.08)
    assert np.mean([one.effect_mm**2 for one in found]) == pytest.approx(0.09, abs=0.08)
    assert np.mean([one.interaction_mm**2 for one in found]) == pytest.approx(0.16, abs=0.12)
    assert found[0].freedom == 4 * 3
    with pytest.raises(ValueError, match="two blocks"):
        seed_variance([dict.fromkeys(CUBE, 1.0)])


def test_the_shipped_variances_are_those_of_the_recorded_curves():
    name = "benchmarks/curves/compositions.csv"
    script = runpy.run_path(str(ROOT / "benchmarks" / "seed_variance.py"))
    written = script["recorded"](read_curves(ROOT / name), name)
    assert json.loads(FILE.read_text()) == json.loads(json.dumps(written))


def test_complete_grids_of_the_storage_give_the_variance_of_effects():
    rng = np.random.default_rng(2)
    grids = list(drawn(rng, dict.fromkeys(NAMES, 1.0), 0.4, 3))
    records = [record(c, block, mm) for block, own in enumerate(grids) for c, mm in own.items()]
    found = variation(records, "mine", None)
    expected = seed_variance(grids)
    assert found.effects == expected and "mine in 3 blocks" in found.effects_source
    ratio = found.seeds.effect_mm / found.seeds.noise_mm
    assert ratio == pytest.approx(expected.effect_mm / expected.noise_mm)
    assert variation(records[:-1], "mine", None).effects == seed_variance(grids[:2])
    assert variation([], "mine", 0.9).seeds == recorded_variance().scaled(0.9)


def record(composition, block, mm):
    name = "+".join(composition) or "none"
    return TrialRecord(
        trial_id=f"{CUBE.index(composition):06x}{block:02x}",
        study="mine",
        stage="compositions",
        cell=f"mixed {name}",
        composition=name,
        objective="mixed",
        block=block,
        outcome="completed",
        epoch=3,
        epochs=3,
        metrics={"median_mm": mm},
    )


def searched(**more):
    return options(
        NAMES, 2.0, GIVEN, epochs=9, grace_epochs=1, reduction_factor=3.0, studies=40, **more
    )


def test_options_have_the_power_and_the_cheapest_comes_first():
    found = searched().options
    assert {one.design.kind for one in found} == {"grid", "halving", "fraction"}
    assert all(one.power.low <= one.power.share <= one.power.high for one in found)
    assert all(one.power.share >= 0.8 for one in found)
    assert [one.cost for one in found] == sorted(one.cost for one in found)
    for one in found:
        if one.design.kind != "halving":
            assert one.cost == one.design.blocks * one.design.cells / 16
        assert one.learned[0] <= one.power.share <= one.learned[1]


def test_designs_that_time_did_not_allow_are_named_by_cost():
    found = searched(budget_s=0.0)
    assert found.options == () and found.for_effects is found.for_winner is None
    assert {one.why for one in found.untried} == {"time"}
    assert "all of 16 cells, no halving" in [one.settings for one in found.untried]
    costs = [one.cost for one in found.untried]
    assert costs == sorted(costs)
    least = options(NAMES, 0.01, GIVEN, epochs=9, grace_epochs=1, reduction_factor=3.0)
    assert {one.why for one in least.untried} == {"blocks"} and not least.options


def option(cost, mm, half):
    design = Design("grid", 16, 2)
    regret = Regret(mm, mm - half, mm + half)
    return Option(design, 0, cost, Power(0.9, 0.8, 1.0), (0.7, 0.9), regret)


def test_the_design_for_the_best_composition_is_the_cheapest_that_cannot_be_told_from_the_best():
    bad, close, best, dear = (
        option(1.0, 1.5, 0.2),
        option(2.0, 0.6, 0.1),
        option(3.0, 0.5, 0.1),
        option(4.0, 0.5, 0.1),
    )
    assert Designs((bad, close, best, dear)).for_winner is close
    assert Designs((bad, best, dear)).for_winner is best
    assert Designs((bad, best)).for_effects is bad


def test_values_at_rungs_have_the_given_correlations_with_the_last_ones():
    rng = np.random.default_rng(4)
    last = rng.normal(60.0, 3.0, 40_000)
    early, later = values_at_rungs(last, (0.5, 0.9), rng)
    assert np.corrcoef(early, last)[0, 1] == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(later, last)[0, 1] == pytest.approx(0.9, abs=0.02)
    assert np.corrcoef(early, later)[0, 1] == pytest.approx(0.5 / 0.9, abs=0.02)


def test_the_regret_is_nothing_without_noise_and_that_of_chance_where_noise_is_all():
    """The least of all sums of +-e/2 is -sum |e|/2: 4 sqrt(2 / pi) / 2 below the mean of cells."""
    quiet, loud = (SeedVariance(sd, 0.0, 1.0, 0.0, 14) for sd in (1e-9, 1e4))
    exact = Design("halving", 8, 2, 1.0, Rules(9, 3, 3.0))
    assert simulated_errors(NAMES, exact, quiet, studies=10).regret.mm == pytest.approx(0, abs=1e-6)
    found = simulated_errors(NAMES, Design("grid", 16, 2), loud, studies=150).regret
    expected = 2 * math.sqrt(2 / math.pi)
    assert abs(found.mm - expected) < 1.5 * (found.high - found.mm)  # three standard errors
    alone = simulated_errors(NAMES, Design("halving", 8, 2, 0.8), quiet, studies=3)
    assert math.isnan(alone.regret.mm)


def test_halving_finds_a_better_composition_than_its_skeleton_alone():
    rules = Rules(9, 3, 3.0)
    regrets = [
        simulated_errors(NAMES, design, GIVEN, studies=60).regret.mm
        for design in (Design("halving", 8, 3, 0.9, rules), Design("fraction", 8, 3))
    ]
    assert regrets[0] < regrets[1]


def test_two_cells_need_as_many_blocks_as_a_paired_t_test():
    rng, blocks = np.random.default_rng(0), blocks_for_paired(1.0, 1.0)
    for count, enough in ((blocks, True), (blocks - 1, False)):
        values = rng.normal(1.0, 1.0, (20_000, count))
        t = values.mean(1) / values.std(1, ddof=1) * math.sqrt(count)
        assert ((abs(t) > stats.t.ppf(0.975, count - 1)).mean() > 0.79) == enough


def test_the_command_recommends_and_refuses_a_study_without_compositions(tmp_path, capfd):
    words = ["study", "plan", "--no-measure", "-q", "--storage", str(tmp_path), "--effect-mm"]
    assert invoke([*words, "20", "demo-compositions", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["effect_mm"] == 20 and found["options"][0]["power"]["share"] >= 0.8
    assert found["recommended"]["effects"] == found["options"][0]["settings"]
    chosen = found["recommended"]["best_composition"]
    assert chosen in [one["settings"] for one in found["options"]]
    assert all(one["regret"]["mm"] >= 0 for one in found["options"])
    assert all(one["why"] in ("time", "blocks") for one in found["untried"])
    assert invoke([*words, "20", "demo-compositions"]) == 0
    shown = capfd.readouterr().out
    assert "Recommended for effects" in shown
    assert f"Recommended for the best composition: {chosen}" in shown
    assert invoke([*words, "1", "smoke"]) == 2
    assert "expected a study with a stage of kind compositions" in capfd.readouterr().err
