from __future__ import annotations

import math
import random

import pytest

from handssl.sweep.plan import PlannedTrial
from handssl.sweep.scheduler import BlockHalving
from handssl.sweep.study import Cell, Halving, Study
from handssl.training.config import PretrainConfig
from tests.reference.halving import decide_all

EPOCHS = 18


def study(halving: Halving | None) -> Study:
    return Study(
        name="x",
        cells=(Cell(),),
        blocks=(1, 2),
        pretrain=PretrainConfig(epochs=EPOCHS),
        halving=halving,
    )


def trial(name: str, *, block: int = 1, exempt: bool = False) -> PlannedTrial:
    return PlannedTrial(name, name, block, PretrainConfig(epochs=EPOCHS), exempt)


def scheduler(*trials: PlannedTrial, halving: Halving | None = None) -> BlockHalving:
    rungs = halving or Halving(grace_epochs=2, reduction_factor=3.0)
    return BlockHalving(study(rungs), trials)


def result(epoch: int, value: float) -> dict[str, float]:
    return {"epoch": epoch, "median_mm": value}


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_decisions_are_those_of_the_naive_loop(factor: float) -> None:
    draw = random.Random(int(factor))
    names = [f"t{i}" for i in range(12)]
    halving = Halving(grace_epochs=2, reduction_factor=factor)
    arrivals = [(n, e, draw.uniform(50, 100)) for e in range(1, EPOCHS + 1) for n in names]
    rungs = scheduler(*map(trial, names), halving=halving)
    decisions = [rungs.decide(n, result(e, v)) == "CONTINUE" for n, e, v in arrivals]
    expected = decide_all(arrivals, grace=2, factor=factor, epochs=EPOCHS)
    assert decisions == expected
    assert not all(decisions)


def test_an_exempt_trial_goes_on_however_bad_it_is() -> None:
    rungs = scheduler(trial("good"), trial("bad", exempt=True))
    rungs.decide("good", result(2, 50.0))
    assert rungs.decide("bad", result(2, 500.0)) == "CONTINUE"


def test_an_exempt_trial_does_not_raise_the_bar_for_the_others() -> None:
    rungs = scheduler(trial("best", exempt=True), trial("first"))
    rungs.decide("best", result(2, 1.0))
    assert rungs.decide("first", result(2, 90.0)) == "CONTINUE"


def test_blocks_do_not_meet_in_a_rung() -> None:
    rungs = scheduler(trial("a"), trial("b", block=2), trial("c"))
    rungs.decide("a", result(2, 50.0))
    assert rungs.decide("b", result(2, 90.0)) == "CONTINUE"
    assert rungs.decide("c", result(2, 90.0)) == "STOP"


def test_a_result_that_is_not_finite_enters_no_rung() -> None:
    rungs = scheduler(trial("a"), trial("b"))
    assert rungs.decide("a", result(2, math.nan)) == "CONTINUE"
    assert rungs.decide("b", result(2, 90.0)) == "CONTINUE"


def test_without_halving_nothing_is_stopped() -> None:
    rungs = BlockHalving(study(None), [trial("a"), trial("b")])
    rungs.decide("a", result(2, 50.0))
    assert rungs.decide("b", result(2, 90.0)) == "CONTINUE"


def test_a_continued_sweep_that_replays_finished_trials_decides_as_before() -> None:
    before = scheduler(trial("a"), trial("b"))
    before.decide("a", result(2, 50.0))
    after = scheduler(trial("a"), trial("b"))
    after.decide("a", result(2, 50.0))  # what the runner replays from the record
    assert before.decide("b", result(2, 51.0)) == after.decide("b", result(2, 51.0)) == "STOP"
    assert scheduler(trial("b")).decide("b", result(2, 51.0)) == "CONTINUE"


def test_a_trial_that_reports_an_epoch_again_is_not_judged_twice() -> None:
    rungs = scheduler(trial("a"), trial("b"))
    rungs.decide("a", result(2, 60.0))
    rungs.decide("b", result(2, 50.0))
    assert rungs.decide("a", result(2, 60.0)) == "CONTINUE"
