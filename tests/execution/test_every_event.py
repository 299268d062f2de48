"""A driver killed before and after every write of a sweep: the next one ends it as if nothing was.

Writes are transactions of the ledger. A real process is killed by SIGKILL inside each of them, just
before it is committed, and right after; another process goes on.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from handssl.runtime.database import Database
from handssl.study.study import Study
from handssl.study.trials import plan_study
from tests.reference.halving import asynchronous
from tests.scheduling.test_stage_scheduler import Driver, finish, study, values_of

EPOCHS = 4
CELLS = [{"composition": n, "exempt": n == "rotate"} for n in ("blur", "noise", "sobel", "rotate")]


def small(order: str) -> Study:
    return study(
        cells=CELLS,
        pretrain={"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
        halving={"grace_epochs": 1, "reduction_factor": 2.0, "order": order},
        blocks=[1],
    )


class Trained(list[tuple[str, int]]):
    """Remembers on disk what was trained, also what the ledger never heard of."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, item: tuple[str, int]) -> None:
        with self.path.open("a") as file:
            file.write(f"{item[0]} {item[1]}\n")


def drive(storage: Path, planned: Study, seed: int) -> Driver:
    driver = Driver(storage, planned, values_of(planned))
    driver.trained = Trained(storage / "trained.txt")
    return finish(driver, seed)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, on_event: Callable[[], None]) -> Iterator[None]:
    """Call back before and after the commit of every transaction that writes."""
    original = Database.begin

    @contextmanager
    def begin(self: Database, *, reading: bool = False) -> Iterator[Any]:
        with original(self, reading=reading) as connection:
            yield connection
            if not reading:
                on_event()
        if not reading:
            on_event()

    with monkeypatch.context() as patch:
        patch.setattr(Database, "begin", begin)
        yield


def killed_at(number: int, storage: Path, planned: Study, monkeypatch: Any) -> bool:
    """Run a sweep in a process that kills itself at an event; say whether it came to that."""
    if (pid := os.fork()) == 0:
        left = [number]

        def on_event() -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with counted(monkeypatch, on_event):
                drive(storage, planned, 9)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.faults
@pytest.mark.parametrize("order", ["cohort", "arrival"])
def test_a_sweep_killed_at_every_event_is_ended_by_the_next_driver(tmp_path, order, monkeypatch):
    planned = small(order)
    whole = drive(_made(tmp_path / "whole"), planned, 9).outcomes()
    number = 1
    while True:
        storage = _made(tmp_path / str(number))
        if not killed_at(number, storage, planned, monkeypatch):
            break
        driver = drive(storage, planned, 10)
        assert not driver.scheduler.missing
        if order == "cohort":
            assert driver.outcomes() == whole, f"killed at event {number}"
        else:
            assert_each_rung_was_decided_as_the_log_has_them_arrive(planned, driver)
        assert_the_log_leads_to_the_same(storage, planned, driver)
        assert_nothing_is_repeated_but_the_epoch_in_flight(storage)
        number += 1
    assert number > 40


def assert_the_log_leads_to_the_same(storage: Path, planned: Study, driver: Driver) -> None:
    again = Driver(storage, planned, values_of(planned))
    assert again.outcomes() == driver.outcomes()
    assert not again.step(random.Random(0))


def assert_each_rung_was_decided_as_the_log_has_them_arrive(planned: Study, driver: Driver) -> None:
    exempt = {trial.trial_id for trial in plan_study(planned, "data") if trial.exempt}
    entries = driver.ledger.log(planned.name, "objectives")
    for rung in (1, 2):
        arrivals = [
            (entry.trial_id, entry.value)
            for entry in entries
            if entry.kind == "reported" and entry.epoch == rung and entry.trial_id not in exempt
        ]
        for (name, _), goes_on in zip(arrivals, asynchronous(arrivals, 2.0), strict=True):
            assert (driver.outcomes()[name][1] > rung) == goes_on


def assert_nothing_is_repeated_but_the_epoch_in_flight(storage: Path) -> None:
    lines = (storage / "trained.txt").read_text().splitlines()
    repeated = [count - 1 for count in Counter(lines).values() if count > 1]
    assert sum(repeated) <= 1


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
