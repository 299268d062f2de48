"""Halving decides by results: not by who comes first, and the same after every restart."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handssl.scheduling.halving import Arm, HalvingState, Rules, cohorts_of
from tests.reference.halving import asynchronous, survivors

RULES = Rules(epochs=9, grace_epochs=1, reduction_factor=3.0)


def arms(count, block=1):
    return [Arm(f"{block}-{number:02d}", block) for number in range(count)]


def played(state, curves, order, names=None):
    """Let trials report epoch after epoch as far as they may, the next one chosen by `order`."""
    reached = dict.fromkeys(names or curves, 0)
    while True:
        able = sorted(
            name
            for name, epoch in reached.items()
            if state.status(name) == "goes_on" and epoch < state.target(name)
        )
        if not able:
            return reached
        name = able[order(len(able))]
        reached[name] += 1
        state.reported(name, reached[name], curves[name][reached[name] - 1])


def random_curves(seed, count, epochs=9, diverging=0.1):
    rng = random.Random(seed)
    curves = {}
    for arm in arms(count):
        values = [round(rng.uniform(50, 60), 1) for _ in range(epochs)]  # ties are likely
        if rng.random() < diverging:
            values[rng.randrange(epochs)] = math.nan
        curves[arm.trial_id] = values
    return curves


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 14),
    eta=st.sampled_from([1.5, 2.0, 3.0, 20.0]),
    grace=st.integers(1, 4),
)
def test_survivors_are_those_of_the_naive_reference_whatever_the_order_of_arrival(
    seed, count, eta, grace
):
    rules = Rules(epochs=9, grace_epochs=grace, reduction_factor=eta)
    curves = random_curves(seed, count)
    expected = survivors(curves, rules.rungs, eta)
    finish = {
        name
        for name in (expected[-1] if expected else curves)
        if all(math.isfinite(value) for value in curves[name])
    }
    for order_seed in range(3):
        state = HalvingState(arms(count), rules)
        played(state, curves, random.Random(order_seed).randrange)
        done = {arm.trial_id for arm in arms(count) if state.status(arm.trial_id) == "done"}
        assert done == finish
        assert not [a for a in arms(count) if state.status(a.trial_id) in ("waits", "goes_on")]


def test_a_rung_waits_for_the_slowest_member():
    state = HalvingState(arms(3), RULES)
    state.reported("1-00", 1, 50.0)
    state.reported("1-01", 1, 40.0)
    assert [state.status(arm.trial_id) for arm in arms(3)] == ["waits", "waits", "goes_on"]
    state.reported("1-02", 1, 45.0)
    assert [state.status(arm.trial_id) for arm in arms(3)] == ["stopped", "goes_on", "stopped"]
    assert state.target("1-01") == 3


def test_ties_go_to_the_first_trial_id():
    state = HalvingState(arms(3), RULES)
    for name in ("1-02", "1-00", "1-01"):
        state.reported(name, 1, 50.0)
    assert state.status("1-00") == "goes_on"


def test_a_diverged_trial_ranks_last_and_holds_nobody_up():
    state = HalvingState(arms(3), RULES)
    state.reported("1-00", 1, math.nan)
    state.reported("1-01", 1, 99.0)
    state.left("1-02")
    assert [state.status(arm.trial_id) for arm in arms(3)] == ["out", "goes_on", "out"]


def test_one_that_diverged_between_two_rungs_counts_at_the_first_whenever_that_is_known():
    rules = Rules(epochs=4, grace_epochs=1, reduction_factor=2.0)
    values = {"1-00": 40.0, "1-01": 50.0, "1-02": 30.0, "1-03": 60.0}
    for order in permutations(values):
        state = HalvingState(arms(4), rules)
        for name in order:
            state.reported(name, 1, values[name])
            if name == "1-02":
                state.diverged(name)
        assert [state.status(name) for name in values] == ["goes_on", "stopped", "out", "stopped"]
        state.reported("1-00", 2, 40.0)
        assert state.status("1-00") == "goes_on"  # the second rung waits for nobody


def test_where_all_diverge_nobody_goes_on():
    state = HalvingState(arms(2), RULES)
    state.left("1-00")
    state.left("1-01")
    assert [state.status(arm.trial_id) for arm in arms(2)] == ["out", "out"]


def test_a_trial_that_failed_and_is_run_again_is_measured_by_the_same_bar():
    for value, status in ((39.0, "goes_on"), (41.0, "stopped")):
        state = HalvingState(arms(3), RULES)
        state.left("1-02")
        state.reported("1-00", 1, 40.0)
        state.reported("1-01", 1, 50.0)
        state.reported("1-02", 1, value)
        assert state.status("1-02") == status
        assert state.status("1-00") == "goes_on"


def test_a_rung_that_is_not_decided_waits_for_one_that_is_run_again():
    rules = Rules(epochs=4, grace_epochs=1, reduction_factor=2.0)
    values = {f"1-{number:02d}": 50.0 + number for number in range(4)}
    for order in (sorted(values), sorted(values, reverse=True)):
        state = HalvingState(arms(4), rules)
        state.left("1-00")
        state.retried("1-00")
        for name in order:
            state.reported(name, 1, values[name])
        going_on = [name for name in values if state.status(name) == "goes_on"]
        assert going_on == ["1-00", "1-01"]


def test_one_that_is_run_again_changes_nothing_that_was_decided():
    state = HalvingState(arms(3), RULES)
    state.left("1-02")
    state.reported("1-00", 1, 40.0)
    state.reported("1-01", 1, 50.0)
    state.retried("1-02")
    assert [state.status(arm.trial_id) for arm in arms(3)] == ["goes_on", "stopped", "goes_on"]
    state.left("1-02")
    assert state.status("1-02") == "out"


def test_one_that_comes_late_takes_part_in_the_next_rung():
    state = HalvingState(arms(3), RULES)
    state.left("1-02")
    state.reported("1-00", 1, 40.0)
    state.reported("1-01", 1, 50.0)
    state.reported("1-02", 1, 30.0)
    state.reported("1-00", 3, 40.0)
    assert state.status("1-00") == "waits"
    state.reported("1-02", 3, 30.0)
    assert [state.status(name) for name in ("1-00", "1-02")] == ["stopped", "goes_on"]


def test_exempt_arms_run_to_the_end_and_take_nobodys_place():
    members = [*arms(2), Arm("x", 1, exempt=True)]
    state = HalvingState(members, Rules(epochs=4, grace_epochs=2, reduction_factor=2.0))
    assert state.target("x") == 4
    state.reported("x", 2, 1.0)
    state.reported("1-00", 2, 50.0)
    state.reported("1-01", 2, 60.0)
    assert [state.status(name) for name in ("x", "1-00", "1-01")] == ["goes_on"] * 2 + ["stopped"]
    state.reported("x", 4, 99.0)
    assert state.status("x") == "done"


def test_blocks_are_judged_apart():
    state = HalvingState([*arms(3), *arms(3, block=2)], RULES)
    for number, arm in enumerate(arms(3)):
        state.reported(arm.trial_id, 1, 10.0 + number)
    for number, arm in enumerate(arms(3, block=2)):
        state.reported(arm.trial_id, 1, 90.0 + number)
    assert [state.status(name) for name in ("1-00", "2-00")] == ["goes_on", "goes_on"]


def test_cohorts_are_dealt_by_seed_and_not_by_the_order_of_listing():
    rules = Rules(epochs=9, grace_epochs=1, reduction_factor=3.0, cohort=4)
    dealt = cohorts_of(arms(10), rules)
    assert sorted(map(len, dealt)) == [2, 4, 4]
    assert sorted(name for one in dealt for name in one) == [arm.trial_id for arm in arms(10)]
    assert cohorts_of(reversed(arms(10)), rules) == dealt
    other = Rules(epochs=9, grace_epochs=1, reduction_factor=3.0, cohort=4, seed=1)
    assert cohorts_of(arms(10), other) != dealt


@pytest.mark.parametrize("order", ["cohort", "arrival"])
def test_a_restart_at_any_entry_makes_the_same_decisions(order):
    rules = Rules(epochs=9, grace_epochs=1, reduction_factor=3.0, order=order)
    curves, log = random_curves(3, 12), []
    state = HalvingState(arms(12), rules)
    report = state.reported
    state.reported = lambda *entry: (log.append(entry), report(*entry))
    played(state, curves, random.Random(5).randrange)
    final = {name: state.status(name) for name in curves}
    for cut in range(len(log) + 1):
        again = HalvingState(arms(12), rules)
        for entry in [*log[:cut], *log[: cut // 2], *log[cut:]]:  # some come twice
            again.reported(*entry)
        assert {name: again.status(name) for name in curves} == final


def test_arrival_is_the_textbook_rule():
    rng = random.Random(7)
    arrivals = [(arm.trial_id, round(rng.uniform(0, 20), 0)) for arm in arms(40)]
    rng.shuffle(arrivals)
    rules = Rules(epochs=9, grace_epochs=1, reduction_factor=3.0, order="arrival")
    state = HalvingState(arms(40), rules)
    goes_on = []
    for name, value in arrivals:
        assert state.target(name) == 9
        state.reported(name, 1, value)
        goes_on.append(state.status(name) == "goes_on")
    assert goes_on == asynchronous(arrivals, 3.0)


def test_without_rules_nobody_is_stopped():
    state = HalvingState(arms(2), None, epochs=3)
    for epoch in (1, 2, 3):
        state.reported("1-00", epoch, 90.0 + epoch)
    assert state.status("1-00") == "done"
    assert state.target("1-01") == 3


FACTORS = ("1.1", "1.2", "1.5", "2", "2.2", "2.5", "2.7", "3", "4", "4.4", "8.8", "9.3")


@pytest.mark.parametrize("factor", FACTORS)
def test_as_many_are_kept_as_fit_when_each_takes_the_factor_as_written(factor):
    rules = Rules(epochs=9, grace_epochs=1, reduction_factor=float(factor))
    for count in range(1, 400):
        places = 0
        while (places + 1) * Decimal(factor) <= count:
            places += 1
        assert rules.kept(count) == max(1, places)


@pytest.mark.parametrize("factor", ["1.1", "2.3", "3", "4.1"])
def test_a_rung_is_the_epoch_nearest_to_the_product_as_written_ties_to_even(factor):
    for grace in range(1, 60):
        rules = Rules(epochs=100, grace_epochs=grace, reduction_factor=float(factor))
        exact = [grace * Decimal(factor) ** power for power in range(60)]
        expected = dict.fromkeys(int(one.to_integral_value()) for one in exact)
        assert rules.rungs == tuple(epoch for epoch in expected if epoch < 100)


def test_whole_factors_keep_what_they_always_kept():
    for factor in (2.0, 3.0, 4.0):
        rules = Rules(epochs=9, grace_epochs=1, reduction_factor=factor)
        counts = range(1, 1000)
        assert [rules.kept(n) for n in counts] == [max(1, int(n / factor)) for n in counts]


def test_rungs_and_places_are_what_the_factor_says():
    assert Rules(epochs=100, grace_epochs=11, reduction_factor=3.0).rungs == (11, 33, 99)
    assert Rules(epochs=4, grace_epochs=4, reduction_factor=3.0).rungs == ()
    assert Rules(epochs=9, grace_epochs=1, reduction_factor=1.2).rungs == (1, 2, 3, 4, 5, 6, 7)
    assert Rules(epochs=9, grace_epochs=1, reduction_factor=1e9).kept(5) == 1


def test_ten_thousand_trials_are_decided_on_in_one_go():
    members = [arm for block in range(100) for arm in arms(100, block)]
    state = HalvingState(members, Rules(epochs=100, grace_epochs=10, reduction_factor=3.0))
    rng = random.Random(0)
    for epoch in (10, 30, 90, 100):
        for arm in members:
            if state.status(arm.trial_id) == "goes_on":
                state.reported(arm.trial_id, epoch, rng.random())
    assert sum(state.status(arm.trial_id) == "done" for arm in members) == 100 * 3
