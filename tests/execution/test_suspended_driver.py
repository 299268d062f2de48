"""A driver that was suspended beyond its lease: the one that took over is not disturbed by it."""

from __future__ import annotations

import functools
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[2]
LEASE_S = float(os.environ.get("HANDSSL_TEST_LEASE_S", "8"))
WAIT_S = 2 * LEASE_S + 400
TAKEN_OVER = 69
STUDY = {
    "name": "suspended",
    "data": {"pretrain": 96, "probe": 48, "select": 24, "test": 24, "image_px": 64, "crop_px": 64},
    "cells": [{"composition": name} for name in ("blur", "cutout")],
    "halving": None,
    "references": False,
    "pretrain": {
        "epochs": 6,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 1},
    },
}
pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(1200)]


class Driver:
    """A `study run` whose messages go to a file; where trials have two workers there is one."""

    def __init__(self, storage: Path, name: str, workers: int, *more: str) -> None:
        study, options = storage.parent / "study.yaml", ("--workers", str(workers), *more)
        cells = STUDY["cells"][: 3 - workers]  # each group of workers costs half a minute
        study.write_text(yaml.safe_dump(STUDY | {"cells": cells}))
        self.said = storage.parent / f"{name}.txt"
        words = ["-m", "handssl.cli", "study", "run", str(study), "--storage", str(storage)]
        with self.said.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, *words, *options],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=storage.parent,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HANDSSL_LEASE": str(LEASE_S)},
            )
        self.storage = storage
        self._suspended: list[psutil.Process] = []

    def suspend(self, *, all_processes: bool = False) -> None:
        """Stop the driver, or all that it has started too."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        found = [psutil.Process(self.process.pid), *children]
        if not all_processes:
            # The command, and the process that holds its claims if that is another.
            found = [one for one in found if one.pid in {self.process.pid, *owners(self.storage)}]
        self._suspended = found
        for process in found:
            process.suspend()

    def resume(self) -> None:
        for process in reversed(self._suspended):
            process.resume()

    def has_claimed(self) -> bool:
        """Say whether this driver is the one who has claimed the study."""
        leader = psutil.Process(self.process.pid)
        own = {self.process.pid, *(one.pid for one in leader.children(recursive=True))}
        return bool(owners(self.storage) & own)

    def code(self, timeout_s: float = WAIT_S) -> int:
        """Wait for the end."""
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """End it and what it has started."""
        family = []
        if self.process.poll() is None:
            leader = psutil.Process(self.process.pid)
            family = [*leader.children(recursive=True), leader]
        for process in family:
            process.kill()
        self.process.wait(20)
        psutil.wait_procs(family, timeout=20)


@contextmanager
def driver(storage: Path, name: str, workers: int, *more: str) -> Iterator[Driver]:
    made = Driver(storage, name, workers, *more)
    try:
        yield made
    finally:
        made.close()


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    """Read a database; nothing where there is none yet."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as base:
        try:
            return list(base.execute(query))
        except sqlite3.OperationalError:
            return []  # its tables are being made


def until(there: Callable[[], object], who: Driver) -> None:
    """Wait for a condition, for a bounded time, while a driver runs."""
    deadline = time.monotonic() + WAIT_S
    while not there():
        assert who.process.poll() is None, f"{who.process.returncode}: {who.said.read_text()}"
        assert time.monotonic() < deadline, who.said.read_text()
        time.sleep(0.1)


def epochs(storage: Path) -> int:
    """Return how many epochs the ledger knows."""
    return len(rows(storage / "ledger.db", "select epoch from points"))


def owners(storage: Path) -> set[int]:
    """Return the process that has claimed the study."""
    query = "select owner from claims where trial_id like 'study:%'"
    return {int(owner.split(":")[1]) for (owner,) in rows(storage / "ledger.db", query)}


def table(storage: Path) -> list[tuple[Any, ...]]:
    """Return all that the ledger says of each trial, without times."""
    found = []
    for trial, outcome, epoch in rows(
        storage / "ledger.db", "select trial_id, outcome, epoch from trials order by trial_id"
    ):
        query = f"select epoch, metrics from points where trial_id = '{trial}' order by epoch"
        points = [
            (number, {k: v for k, v in yaml.safe_load(text).items() if not k.endswith("_s")})
            for number, text in rows(storage / "ledger.db", query)
        ]
        found.append((trial, outcome, epoch, points))
    return found


def mlflow_runs(storage: Path) -> dict[str, int]:
    """Return how many runs MLflow shows for each trial, cell and stage."""
    query = (
        "select k.value, coalesce(t.value, c.value, s.value), count(*) from runs r "
        "join tags k on k.run_uuid = r.run_uuid and k.key = 'kind' "
        "left join tags t on t.run_uuid = r.run_uuid and t.key = 'trial_id' "
        "left join tags c on c.run_uuid = r.run_uuid and c.key = 'cell' "
        "left join tags s on s.run_uuid = r.run_uuid and s.key = 'stage' "
        "where r.lifecycle_stage = 'active' group by 1, 2"
    )
    return {f"{kind} {name}": count for kind, name, count in rows(storage / "mlflow.db", query)}


def mlflow_repeated(storage: Path) -> list[tuple[Any, ...]]:
    """Return the points of MLflow that were written more than once."""
    query = (
        "select r.name, m.key, m.step, count(*) from metrics m join runs r using (run_uuid) "
        "where r.lifecycle_stage = 'active' group by m.run_uuid, m.key, m.step having count(*) > 1"
    )
    return rows(storage / "mlflow.db", query)


def statuses(storage: Path) -> set[str]:
    """Return the status of all trials' runs."""
    query = "select r.status from runs r where r.lifecycle_stage = 'active'"
    return {status for (status,) in rows(storage / "mlflow.db", query)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of a study that nobody has disturbed, by its workers: sums over ranks round."""

    @functools.cache
    def of(workers):
        storage = tmp_path_factory.mktemp("undisturbed") / "storage"
        storage.mkdir()
        with driver(storage, "only", workers) as only:
            assert only.code() == 0, only.said.read_text()
        return table(storage)

    return of


@pytest.mark.parametrize("all_processes", [False, True], ids=["driver", "all its processes"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_driver_that_was_suspended_beyond_its_lease_ends_and_disturbs_nothing(
    undisturbed, tmp_path, workers, all_processes
):
    storage = tmp_path / "storage"
    storage.mkdir()
    with driver(storage, "first", workers) as first:
        until(lambda: epochs(storage) >= 2, first)
        first.suspend(all_processes=all_processes)
        known, patience = epochs(storage), ("--patience", str(WAIT_S))
        with driver(storage, "second", workers, *patience) as second:
            until(second.has_claimed, second)
            until(lambda: epochs(storage) > known, second)
            first.resume()
            assert first.code() == TAKEN_OVER, first.said.read_text()
            assert "taken" in first.said.read_text()
            assert "Traceback" not in first.said.read_text()
            assert second.code() == 0, second.said.read_text()
    assert table(storage) == undisturbed(workers)
    assert set(mlflow_runs(storage).values()) == {1}
    assert mlflow_repeated(storage) == []
    assert statuses(storage) == {"FINISHED"}
    assert not list(storage.glob("trials/*/error.txt"))
