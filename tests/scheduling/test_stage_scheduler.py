"""What a stage's scheduler decides follows from the ledger: same log, same decisions."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handssl.execution.recorder import Recorder
from handssl.ledger import Ledger
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, plan_study, stage_scheduler

EPOCHS = 9
NAMES = ("blur", "cutout", "noise", "sobel", "color_drop", "rotate")


def study(**changes: Any) -> Study:
    values = {
        "name": "x",
        "cells": [{"composition": n, "exempt": n == "rotate"} for n in NAMES],
        "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
        "halving": {"grace_epochs": 1, "reduction_factor": 3.0},
        "references": False,
        "blocks": [1, 2],
    }
    return Study.parse(values | changes)


class Nothing:
    """A tracker that shows nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Driver:
    """Runs trials as Tune would, one epoch after the other, and may be killed between two."""

    def __init__(self, storage: Path, planned: Study, values: dict[str, float]) -> None:
        self.study, self.values, self.trained = planned, values, []
        self.ledger = Ledger(storage)
        self.recorder = Recorder(planned, self.ledger, Nothing(), lambda event: None)
        trials = plan_study(planned, "data")
        self.scheduler = stage_scheduler(planned, "objectives", trials, self.ledger)
        for trial in self.scheduler.complete():
            self._end(trial, "completed")
        self._end_stopped()

    def step(self, draw: random.Random) -> bool:
        able = [trial for trial in self.scheduler.missing if self.scheduler.may_train(trial)]
        if not able:
            return False
        trial = draw.choice(able)
        epoch = max(0, self.recorder.known_epoch(trial)) + 1
        self.trained.append((trial.trial_id, epoch))
        self.recorder.start(trial)
        metrics = {"median_mm": self.values[trial.trial_id] - epoch}
        self.scheduler.reported(trial, epoch, metrics)
        self.recorder.epoch(
            trial, epoch, metrics, 0.0, self.scheduler.entries(trial, epoch, metrics)
        )
        self._end(trial, "completed") if epoch == trial.epochs else self.recorder.pause(trial)
        self._end_stopped()
        return True

    def outcomes(self) -> dict[str, tuple[str, int]]:
        return {r.trial_id: (r.outcome, r.epoch) for r in self.ledger.all()}

    def _end(self, trial: PlannedTrial, outcome: Any) -> None:
        self.recorder.end(trial, outcome)
        self.scheduler.ended(trial, outcome)

    def _end_stopped(self) -> None:
        for trial in self.scheduler.stopped():
            self.recorder.end(trial, "stopped")


def values_of(planned: Study) -> dict[str, float]:
    draw = random.Random(4)
    return {trial.trial_id: draw.uniform(60, 80) for trial in plan_study(planned, "data")}


def finish(driver: Driver, seed: int) -> Driver:
    draw = random.Random(seed)
    while driver.step(draw):
        pass
    return driver


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_survivors_do_not_depend_on_who_comes_first(tmp_path: Path, seed: int) -> None:
    driver = finish(Driver(tmp_path / str(seed), study(), values_of(study())), seed)
    first = finish(Driver(tmp_path / "0", study(), values_of(study())), 0)
    assert driver.outcomes() == first.outcomes()
    ends = sorted(driver.outcomes().values())
    assert ends == [("completed", EPOCHS)] * 4 + [("stopped", 1)] * 8


@pytest.mark.parametrize("order", ["cohort", "arrival"])
def test_a_driver_that_is_killed_again_and_again_decides_the_same_and_repeats_nothing(
    tmp_path: Path, order: str
) -> None:
    planned = study(halving={"grace_epochs": 1, "reduction_factor": 2.0, "order": order})
    values = values_of(planned)
    draw, trained = random.Random(9), []
    while True:  # a new driver after every epoch
        driver = Driver(tmp_path / "killed", planned, values)
        goes_on = driver.step(draw)
        trained += driver.trained
        if not goes_on:
            break
    whole = finish(Driver(tmp_path / "whole", planned, values), 9)
    assert len(set(trained)) == len(trained)
    assert trained == whole.trained
    assert driver.outcomes() == whole.outcomes()


def test_trials_of_another_study_count_and_go_on_where_it_stopped_them(tmp_path: Path) -> None:
    values = values_of(study())
    finish(Driver(tmp_path, study(), values), 1)
    other = study(name="y", halving=None)
    assert len(Driver(tmp_path, other, values).scheduler.missing) == 8
    driver = finish(Driver(tmp_path, other, values), 1)
    assert set(driver.outcomes().values()) == {("completed", EPOCHS)}
    assert min(epoch for _, epoch in driver.trained) == 2
    assert not Driver(tmp_path, study(), values).scheduler.missing


def test_a_failed_trial_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    values = values_of(study())
    driver = Driver(tmp_path, study(), values)
    failing = driver.scheduler.missing[1]
    driver.recorder.start(failing)
    driver._end(failing, "failed")
    finish(driver, 1)
    assert driver.outcomes()[failing.trial_id] == ("failed", 0)
    again = Driver(tmp_path, study(), values)
    assert again.scheduler.missing == (failing,)
    finish(again, 1)
    assert again.outcomes()[failing.trial_id][0] in ("stopped", "completed")


def fail(driver: Driver, trial: PlannedTrial) -> None:
    driver.recorder.start(trial)
    driver._end(trial, "failed")
    driver._end_stopped()


def train_all(driver: Driver, epoch: int, *, but: PlannedTrial | None = None) -> None:
    """Bring every trial that may to an epoch."""
    able = {t.trial_id for t in driver.scheduler.missing if t != but}

    class First:
        def choice(self, trials: list[PlannedTrial]) -> PlannedTrial:
            known = driver.recorder.known_epoch
            return next(t for t in trials if t.trial_id in able and known(t) < epoch)

    with contextlib.suppress(StopIteration):
        while driver.step(First()):
            pass


def decisions(driver: Driver) -> dict[str, tuple[str, int]]:
    state = driver.scheduler.state
    return {name: (state.status(name), state.target(name)) for name in driver.scheduler.trials}


HALVES = {"halving": {"grace_epochs": 1, "reduction_factor": 2.0}, "blocks": [1]}


def test_a_second_failure_decides_the_same_after_a_restart(tmp_path: Path) -> None:
    planned = study(**HALVES)
    values = values_of(planned)
    best = min((t for t in plan_study(planned, "data") if not t.exempt), key=_value(values))
    first = Driver(tmp_path, planned, values)
    fail(first, best)
    train_all(first, 1)  # and the first rung is decided without it
    second = Driver(tmp_path, planned, values)
    train_all(second, 1)  # it comes late, and goes on
    train_all(second, 2, but=best)
    fail(second, best)  # the second rung is decided
    train_all(second, EPOCHS)
    log = second.ledger.log("x", "objectives")
    logged = [(e.kind, e.epoch) for e in log if e.trial_id == best.trial_id]
    again = Driver(tmp_path, planned, values)
    changed = set(decisions(again).items()) ^ set(decisions(second).items())
    assert {name for name, _ in changed} == {best.trial_id}
    assert logged == [("failed", 0), ("retried", 1), ("reported", 1), ("failed", 1)]
    assert again.scheduler.missing == (best,)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_survivors_do_not_depend_on_when_a_trial_that_is_run_again_comes(
    tmp_path: Path, seed: int
) -> None:
    planned = study(**HALVES)
    values = values_of(planned)
    best = min((t for t in plan_study(planned, "data") if not t.exempt), key=_value(values))
    fail(Driver(tmp_path / "again", planned, values), best)
    again = finish(Driver(tmp_path / "again", planned, values), seed)
    whole = finish(Driver(tmp_path / "whole", planned, values), 0)
    assert again.outcomes() == whole.outcomes()


def test_a_log_that_numbers_no_failures_is_read_as_before(tmp_path: Path) -> None:
    planned = study(**HALVES)
    values = values_of(planned)
    driver = Driver(tmp_path, planned, values)
    failing = next(t for t in driver.scheduler.missing if not t.exempt)
    fail(driver, failing)
    metrics = {"median_mm": 1.0}  # of a second run, which has left no word that it began
    driver.recorder.start(failing)
    entries = driver.scheduler.entries(failing, 1, metrics)
    driver.recorder.epoch(failing, 1, metrics, 0.0, entries)
    again = Driver(tmp_path, planned, values)
    assert again.scheduler.state.status(failing.trial_id) == "waits"
    finish(again, 1)
    fail(again, failing)
    kinds = [(e.kind, e.epoch) for e in again.ledger.log("x", "objectives")]
    assert kinds.count(("failed", 1)) == 1


def _value(values: dict[str, float]) -> Callable[[PlannedTrial], float]:
    return lambda trial: values[trial.trial_id]


def test_a_diverged_trial_is_over_and_holds_nobody_up(tmp_path: Path) -> None:
    values = values_of(study())
    driver = Driver(tmp_path, study(), values)
    lost = next(trial for trial in driver.scheduler.missing if not trial.exempt)
    values[lost.trial_id] = math.inf
    driver.recorder.start(lost)
    driver._end(lost, "diverged")
    finish(driver, 1)
    assert driver.outcomes()[lost.trial_id] == ("diverged", 0)
    assert not Driver(tmp_path, study(), values).scheduler.missing


def test_a_trial_whose_outcome_was_not_written_is_completed_without_training(
    tmp_path: Path,
) -> None:
    values = values_of(study())
    driver = finish(Driver(tmp_path, study(), values), 1)
    done = next(r for r in driver.ledger.all() if r.outcome == "completed")
    driver.ledger.save(done.model_copy(update={"outcome": "running"}))
    again = Driver(tmp_path, study(), values)
    assert again.outcomes() == driver.outcomes()
    assert not again.step(random.Random(1))
