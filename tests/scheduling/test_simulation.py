"""Simulated sweeps: the survivors of a plain loop, whatever the number of workers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handssl.errors import DataError, InputError
from handssl.planning.rehearsal import rehearse
from handssl.scheduling.halving import Arm, Rules
from handssl.scheduling.simulation import read_curves, simulate, synthetic_curves
from handssl.study.study import Study
from tests.reference import effects as naive

EPOCHS = 9
RULES = Rules(EPOCHS, 1, 3.0)
RECORDED = Path(__file__).parents[2] / "benchmarks" / "curves" / "compositions.csv"
Curve = st.lists(st.floats(50, 100), min_size=EPOCHS, max_size=EPOCHS)


def arms(count, **options):
    return [Arm(f"{number:03d}", 1, **options) for number in range(count)]


@given(st.lists(Curve, min_size=1, max_size=20), st.integers(1, 7))
@settings(max_examples=80, deadline=None)
def test_survivors_are_those_of_a_plain_loop_with_any_number_of_workers(curves, workers):
    named = {f"{number:03d}": curve for number, curve in enumerate(curves)}
    found = simulate(arms(len(curves)), RULES, named, workers=workers)
    assert found.trained == naive.halving(named, RULES.rungs, 3.0, EPOCHS)
    assert found.epochs / workers <= found.makespan <= found.epochs


@given(st.lists(Curve, min_size=2, max_size=12), st.integers(1, EPOCHS))
@settings(max_examples=40, deadline=None)
def test_a_trial_that_diverges_ends_there_and_ranks_last(curves, at):
    named = {f"{number:03d}": curve for number, curve in enumerate(curves)}
    named["000"] = [*named["000"][: at - 1], math.nan]
    found = simulate(arms(len(curves)), RULES, named)
    assert found.trained["000"] <= at
    assert found.status["000"] in ("out", "stopped")
    last = {**named, "000": [*named["000"][: at - 1], *[math.inf] * (EPOCHS - at + 1)]}
    expected = naive.halving(last, RULES.rungs, 3.0, EPOCHS)
    assert {**found.trained, "000": 0} == {**expected, "000": 0}


def test_exempt_trials_run_whole_and_take_nobodys_place():
    curves = {f"{number:03d}": [90.0 - number] * EPOCHS for number in range(9)}
    with_exempt = [Arm(name, 1, exempt=name == "000") for name in curves]
    found = simulate(with_exempt, RULES, curves)
    assert found.trained["000"] == found.trained["008"] == EPOCHS
    assert found.reached == {1: 9, 3: 3}


def test_more_workers_take_less_time_for_the_same_work():
    curves = {f"{number:03d}": [float(number)] * EPOCHS for number in range(27)}
    one, nine = (simulate(arms(27), RULES, curves, workers=n) for n in (1, 9))
    assert one.epochs == nine.epochs == one.makespan
    assert nine.makespan < one.makespan / 3


@pytest.mark.parametrize("order", ["cohort", "arrival"])
def test_ten_thousand_trials_are_decided(order):
    curves = {f"{n:05d}": [(n * 7919 % 10007) + 1 / e for e in range(1, 28)] for n in range(10_000)}
    many = [Arm(name, int(name) % 10) for name in curves]
    found = simulate(many, Rules(27, 1, 3.0, order), curves, workers=64)
    assert found.reached[1] == 10_000
    assert 100 <= sum(status == "done" for status in found.status.values()) <= 1000


def test_recorded_curves_are_a_whole_grid_in_every_block():
    curves = read_curves(RECORDED)
    assert (curves.epochs, len(curves.names)) == (9, 7)
    assert {block: len(own) for block, own in curves.values.items()} == {1: 128, 2: 128, 3: 128}
    assert all(len(own) == 128 for own in curves.test.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no row|missing"),
        ("block,cell\n1,a\n", "composition, objective, epoch, median_mm missing"),
        (
            "block,cell,composition,objective,epoch,median_mm\n1,a,blur,contrastive,1,much\n",
            "line 2: expected numbers",
        ),
        (
            "block,cell,composition,objective,epoch,median_mm\n1,a,blur,contrastive,1,80\n",
            "expected all 2 compositions in block 1, 1 are missing, e.g. none",
        ),
    ],
    ids=["empty", "columns", "value", "not whole"],
)
def test_a_file_of_curves_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "curves.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_curves(tmp_path / "curves.csv")
    with pytest.raises(DataError, match="expected a file of curves"):
        read_curves(tmp_path / "none.csv")


def study(**changes):
    values = {
        "name": "x",
        "stages": [
            {"kind": "objectives", "transformations": ["blur", "rotate", "noise"]},
            {"kind": "compositions", "skeleton": 4},
        ],
        "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
        "blocks": [1, 2],
    }
    return Study.parse(values | changes)


def test_a_study_is_rehearsed_stage_by_stage_with_what_earlier_ones_are_assumed_to_choose():
    objectives, compositions = rehearse(study(), workers=2)
    assert (objectives.trials, compositions.trials, compositions.exempt) == (2 * 4, 2 * 8, 2 * 4)
    assert "relative" in compositions.assumed
    assert not objectives.assumed
    assert 0 < compositions.share < 1
    assert compositions.regret_mm >= 0


def test_without_halving_every_trial_is_run_whole():
    for stage in rehearse(study(halving=None)):
        assert (stage.share, stage.regret_mm) == (1, 0)


def test_curves_that_are_too_short_or_of_others_are_refused():
    with pytest.raises(InputError, match=r"pretrain\.epochs=5"):
        rehearse(study(), curves=synthetic_curves(["blur"], [1], 5))
    with pytest.raises(InputError, match="a curve of"):
        rehearse(study(), curves=synthetic_curves(["blur"], [1], EPOCHS))
