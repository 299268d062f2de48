"""A real service with a real Ray and real drivers: killed processes are replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import requests
from sqlalchemy import create_engine, text

from handssl.execution.cluster.ray_folder import remove_ray_folder
from handssl.ledger import Ledger
from handssl.runtime.sqlite_url import sqlite_url
from handssl.service.dispatch.managed_subprocess import free_port
from handssl.service.queue.job import ENDED
from handssl.service.queue.lease import Lease
from handssl.service.queue.listing import history, page
from handssl.service.queue.queue import Queue

MARK = "HANDSSL_TEST_LAB"
ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300.0
DATA = {"pretrain": 64, "probe": 48, "select": 24, "test": 24, "image_px": 64, "crop_px": 64}
TINY = {
    "epochs": 3,
    "global_batch": 32,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
    "optimizer": {"warmup_epochs": 1},
}


def short_study(number: int, **pretrain: Any) -> dict[str, Any]:
    """Return a study of one trial of its own."""
    return {
        "name": f"short-{number}",
        "data": DATA,
        "cells": [{"composition": ["rotate"], "objective": "relative"}],
        "blocks": [100 + number],
        "references": False,
        "halving": None,
        "pretrain": TINY | pretrain,
    }


class Lab:
    """A service, and all that it has started, known by a mark in the environment.

    Args:
        folder: Storage and logs.
        options: Of `handssl serve`.
        database: URL of the queue; default: SQLite in the storage.
        env: Added to the environment.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        database: str | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.folder, self._options = folder, options
        self.port, self.standby_port = free_port(), free_port()
        self.lease_s, self._mark = 3.0, uuid.uuid4().hex
        self.database = database or sqlite_url(folder / "service.db")
        self.env = os.environ | (env or {})
        self.env |= {MARK: self._mark, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.queue = Queue(self.database)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start a service, on the same port again or on another; return when it answers."""
        port = port or self.port
        words = [
            "serve",
            "--storage",
            str(self.folder),
            "--port",
            str(port),
            "--lease",
            str(self.lease_s),
        ]
        words += ["--database", self.database, "--queue", "default=2", *self._options]
        with (self.folder / "serve.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "handssl.cli", *words],
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=self.folder,
            )
        self.processes.append(process)
        self.until(lambda: self.answers(port) or process.poll() is not None, "service")
        assert process.poll() is None, self.log()
        return process

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.processes[-1]

    def dispatcher(self) -> int:
        """Return the process that dispatches, 0 if none does."""
        holder = Lease(self.queue.database).holder()
        return int(holder.split(":")[1]) if holder else 0

    def submit(self, studies: Sequence[dict[str, Any]], **asked: Any) -> list[str]:
        body = {"jobs": [{"study": one, **asked} for one in studies]}
        answer = requests.post(f"{self.url}/api/jobs/batch", json=body, timeout=30)
        assert answer.status_code == 201, answer.text
        return [job["id"] for job in answer.json()]

    def finish(self, names: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> dict[str, str]:
        """Wait until all jobs are over; return their states."""

        def over() -> bool:
            return all(self.queue.get(name).is_over for name in names)

        self.until(over, "jobs", timeout_s)
        return {name: self.queue.get(name).state for name in names}

    def count(self, *states: str) -> int:
        return sum(n for (_, state), n in self.queue.depth().items() if state in states)

    def marked(self) -> list[psutil.Process]:
        """Return everything that carries the mark."""
        return [one for one in psutil.process_iter() if _environ(one).get(MARK) == self._mark]

    def find(self, *words: str) -> list[psutil.Process]:
        return [one for one in self.marked() if all(word in _title(one) for word in words)]

    def drivers(self) -> list[psutil.Process]:
        return [one for one in self.find("study", "run") if "/bin/sh" not in _title(one)]

    def kill_ray(self) -> None:
        """SIGKILL all of the Ray that the service has started, as the loss of its node does."""
        family = [*self.find("gcs_server"), *self.find("raylet"), *self.find("dashboard")]
        for one in [*self.find("handssl.service.dispatch.start_ray"), *family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()

    def end(self) -> None:
        """End the services as an impatient operator does; whatever is left is an orphan."""
        for process in self.processes:
            for number in (signal.SIGTERM, signal.SIGINT):
                if process.poll() is None:
                    process.send_signal(number)
        for process in self.processes:
            process.wait(60)
        _, alive = psutil.wait_procs(self.marked(), timeout=30)
        titles = [_title(one) for one in alive]
        for one in alive:
            one.kill()
        assert titles == []

    def until(self, holds: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.log()}"
            time.sleep(0.1)

    def log(self) -> str:
        logs = [self.folder / "serve.log", *sorted(self.folder.glob("jobs/*/log.txt"))]
        return "\n".join(f"{log}:\n{log.read_text()[-1500:]}" for log in logs if log.exists())

    def job_log(self, name: str) -> str:
        return (self.folder / "jobs" / name / "log.txt").read_text()

    def greetings(self, port: int) -> int:
        """Count how often a service on that port has begun."""
        return (self.folder / "serve.log").read_text().count(f"queue: http://127.0.0.1:{port} ")

    def answers(self, port: int) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
        return False


@contextlib.contextmanager
def lab(folder: Path, *options: str, **rest: Any) -> Iterator[Lab]:
    """Start a service and end it; nothing may be left of it."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Lab(folder, *options, **rest)
    try:
        yield found
        found.end()
    finally:
        for one in found.marked():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        for process in found.processes:
            process.wait(30)
        found.queue.database.close()
        remove_ray_folder(folder / "service" / "ray")


def require_exactly_once(of: Lab, names: Sequence[str]) -> Counter[str]:
    """Check that every job has ended once, every trial was completed once, and no lock is left.

    Returns:
        How many attempts, losses and jobs of each state there were.
    """
    counted: Counter[str] = Counter()
    for name in names:
        moments = history(of.queue, name)
        assert [one.state in ENDED for one in moments].count(True) == 1, moments
        assert moments[-1].state in ENDED
        job = of.queue.get(name)
        counted.update({job.state: 1, "attempts": job.attempt, "lost": job.lost})
        log = of.job_log(name)
        assert log.count(": completed ") == 1, log
    ledger = Ledger(of.folder, of.env.get("HANDSSL_LEDGER"))
    records = ledger.all()
    assert Counter(record.outcome for record in records) == {"completed": len(names)}
    for record in records:
        epochs = [row.epoch for row in ledger.history(record.trial_id)]
        assert epochs == list(range(1, record.epochs + 1))
    assert ledger.claims.holders() == {}
    ledger.close()
    assert page(of.queue)[1] == len(names)
    return counted


def leases(url: str) -> int:
    """Count the leases that are left."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM leases")).scalar()
    engine.dispose()
    return int(found)


def _environ(process: psutil.Process) -> dict[str, str]:
    with contextlib.suppress(psutil.Error):
        return process.environ()
    return {}


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
