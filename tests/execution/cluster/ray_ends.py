"""Commands whose Ray ends in every way: how a test starts them, finds what to end, reads the rest.

Nothing here knows handssl but by its command line, its files and the processes that it starts.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

TIMEOUT_S = 120.0  # no end of another's Ray may hold a command up for longer
START_S = 240.0
STUDY = """
name: hurt
data: {pretrain: 96, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}
cells: [{composition: rotate}, {composition: blur}]
blocks: [1]
halving: null
references: false
pretrain:
  epochs: 16
  global_batch: 16
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8, relative_hidden: 8}
  optimizer: {warmup_epochs: 1}
"""
# What Ray calls a part of itself -> its program or title, and its script before it has a title. A
# raylet has the command lines of its agents among its own arguments.
PARTS = {
    "gcs_server": ("gcs_server", "-"),
    "raylet": ("raylet", "-"),
    "DashboardAgent": ("ray::DashboardAgent", "dashboard/agent.py"),
    "RuntimeEnvAgent": ("ray::RuntimeEnvAgent", "agent/main.py"),
    "driver": ("-", "supervision/driver_process.py"),
}


class Command:
    """A command of handssl under way.

    Args:
        words: After `handssl`.
        storage: Of its results, and of what it says.
        env: Added to the environment.
        cwd: Where it runs.
    """

    def __init__(
        self,
        *words: str,
        storage: Path,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        storage.mkdir(parents=True, exist_ok=True)
        self.storage, self._log = storage, storage / "said.txt"
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "handssl.cli", *words, "--storage", str(storage)],
                stdout=log,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1"} | (env or {}),
                cwd=cwd,
            )

    @property
    def said(self) -> str:
        """What it has written to stdout and stderr."""
        return self._log.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """Return everything that it has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def find(self, part: str) -> list[psutil.Process]:
        """Return the processes that are a part of Ray."""
        return [process for process in self.family() if is_part(process, part)]

    def until(self, holds: Callable[[], object], what: str, timeout_s: float = START_S) -> None:
        """Wait until something holds while the command runs."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert self.process.poll() is None, f"{what}: ended before\n{self.said[-3000:]}"
            assert time.monotonic() < deadline, f"{what}: not in time\n{self.said[-3000:]}"
            time.sleep(0.05)

    def until_epochs(self, count: int) -> None:
        """Wait until so many epochs are recorded, of all trials."""
        self.until(lambda: epochs(self.storage) >= count, f"{count} epochs")

    def end(self, part: str) -> None:
        """Kill a part of Ray."""
        self.until(lambda: self.find(part), part)
        end(self.find(part))

    def exit_code(self, timeout_s: float = TIMEOUT_S) -> int:
        """Return its exit code; it may not take longer."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it hangs\n{self.said[-3000:]}") from None

    def close(self) -> None:
        """End it, should it still run, and whatever it has left."""
        family = self.family()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        end(psutil.wait_procs(family, timeout=5)[1])


@contextlib.contextmanager
def command(*words: str, storage: Path, **options: object) -> Iterator[Command]:
    """Start a command; nothing of it is left afterwards."""
    started = Command(*words, storage=storage, **options)
    try:
        yield started
    finally:
        started.close()


def is_part(process: psutil.Process, part: str) -> bool:
    """Say whether a process is that part of Ray."""
    program, script = PARTS[part]
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        scripts = any(word.endswith(script) for word in words[1:3])
        return bool(words) and (words[0].rpartition("/")[2].strip() == program or scripts)
    return False


def end(processes: list[psutil.Process]) -> None:
    """Kill processes, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=20)


def left(processes: list[psutil.Process]) -> list[str]:
    """Return what still runs of processes, after a moment."""
    alive = psutil.wait_procs(processes, timeout=5)[1]
    return [" ".join(process.cmdline()) for process in alive if process.is_running()]


def epochs(storage: Path) -> int:
    """Return how many epochs are recorded."""
    found = _asked(storage, "select count(*) from points")
    return int(found[0][0]) if found else 0


def claims(storage: Path) -> int:
    """Return how many claims are held."""
    found = _asked(storage, "select count(*) from claims")
    return int(found[0][0]) if found else 0


def table(storage: Path) -> list[tuple[object, ...]]:
    """Return the outcome of every trial, and how often each epoch was recorded."""
    trials = _asked(storage, "select cell, block, outcome, epoch, epochs from trials order by 1")
    points = _asked(
        storage, "select trial_id, count(*), count(distinct epoch) from points group by 1"
    )
    return [*trials, *points, *_measured(storage)]


def _measured(storage: Path) -> list[tuple[object, ...]]:
    query = (
        "select cell, p.epoch, json_extract(p.metrics, '$.median_mm') from points p "
        "join trials using (trial_id) order by 1, 2"
    )
    return _asked(storage, query)


def _asked(storage: Path, query: str) -> list[tuple[object, ...]]:
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(
            sqlite3.connect(f"{storage.as_uri()}/ledger.db?mode=ro", uri=True)
        ) as base,
    ):
        return base.execute(query).fetchall()
    return []


@contextlib.contextmanager
def memory_pressure(bytes_: int) -> Iterator[None]:
    """Hold memory while the block runs."""
    held = bytearray(bytes_)
    held[::4096] = b"x" * len(held[::4096])
    yield
    del held


def scarce_memory(bytes_: int) -> dict[str, str]:
    """Return the environment in which Ray ends trials once so much more is used than now."""
    memory = psutil.virtual_memory()
    used = 1 - memory.available / memory.total + bytes_ / memory.total
    return {
        "RAY_memory_usage_threshold": f"{used:.3f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
