"""The kinds of faults: what each needs beforehand, and what it does to a running sweep."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.faults.sweep import Sweep
from tests.postgresql import postgres_server
from tests.tracking.test_mlflow_server import Server

DRIVER = "driver_process.py"
LEASE_S = 8.0
GIB = 2**30
SPARE_GIB = 6  # other tests of this machine may take a part of it


@dataclass
class Scene:
    """A sweep under way.

    Attributes:
        sweep: Its storage and commands.
        command: The one that runs it.
        draw: Of what is random about the fault.
        mlflow: SQLite file of its MLflow store.
        others: Commands that are to end with exit code 69 or 75, another having taken over.
        missed: The sweep was over before the fault.
    """

    sweep: Sweep
    command: subprocess.Popen[bytes]
    draw: random.Random
    mlflow: Path
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)
    missed: bool = False

    def is_over(self) -> bool:
        """Say whether the sweep has ended by itself, so that the fault comes too late."""
        self.missed = self.command.poll() is not None
        return self.missed


@dataclass(frozen=True)
class Place:
    """Where a sweep runs.

    Attributes:
        sweep: Not started.
        mlflow: SQLite file of its MLflow store.
        harm: The fault.
    """

    sweep: Sweep
    mlflow: Path
    harm: Callable[[Scene], None]


def kill_command(scene: Scene) -> None:
    """SIGKILL the command itself; what it has started ends with it."""
    if scene.is_over():
        return
    scene.command.kill()
    scene.command.wait()


def suspend_driver(scene: Scene) -> None:
    """Stop the driver, not its workers, for longer than its lease; another command takes over."""
    if scene.is_over():
        return
    drivers = [psutil.Process(scene.command.pid), *scene.sweep.processes(DRIVER)]
    _suspend(drivers, scene.sweep.storage / "ledger.db", scene.mlflow)
    before = scene.sweep.epochs()
    scene.others.append(scene.command)
    scene.command = scene.sweep.start("--patience", "300")

    def has_taken_over() -> bool:
        return scene.sweep.epochs() > before or scene.command.poll() is not None

    scene.sweep.until(has_taken_over, "the second command")
    for process in reversed(drivers):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def _suspend(processes: list[psutil.Process], *files: Path) -> None:
    """Suspend processes outside their writes to SQLite, which would block every other writer."""
    while True:
        for process in processes:
            process.suspend()
        if not any(_is_locked(file) for file in files if file.exists()):
            return
        for process in reversed(processes):
            process.resume()
        time.sleep(0.1)


def _is_locked(file: Path) -> bool:
    with contextlib.closing(sqlite3.connect(file, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        connection.rollback()
    return False


def exhaust_memory(scene: Scene) -> None:
    """Take memory until Ray kills a worker, then give it back."""
    scene.sweep.until(lambda: bool(_workers(scene)) or scene.is_over(), "a worker")
    workers = set(map(_pid, _workers(scene)))
    taken: list[bytearray] = []

    def is_killed() -> bool:
        if len(taken) < SPARE_GIB + 3:
            taken.append(bytearray(b"\1") * GIB)
        if scene.is_over():
            return True
        return not workers <= set(map(_pid, _workers(scene)))

    scene.sweep.until(is_killed, "Ray to kill a worker for its memory")
    taken.clear()


def killing(*words: str) -> Callable[[Scene], None]:
    """Return a fault that SIGKILLs one process of the sweep.

    Args:
        words: In its command line.
    """

    def kill(scene: Scene) -> None:
        def is_killed() -> bool:
            found = scene.sweep.processes(*words)
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                scene.draw.choice(found).send_signal(signal.SIGKILL)
                return True
            return scene.is_over()

        scene.sweep.until(is_killed, f"a process {' '.join(words)}")

    return kill


@contextmanager
def _plain(folder: Path, harm: Callable[[Scene], None]) -> Iterator[Place]:
    sweep = Sweep(folder)
    yield Place(sweep, sweep.storage / "mlflow.db", harm)


@contextmanager
def _short_lease(folder: Path) -> Iterator[Place]:
    sweep = Sweep(folder, env={"HANDSSL_LEASE": str(LEASE_S)})
    yield Place(sweep, sweep.storage / "mlflow.db", suspend_driver)


@contextmanager
def _little_memory(folder: Path) -> Iterator[Place]:
    """Let Ray kill workers as soon as 6 GiB more are used than now."""
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + SPARE_GIB * GIB) / memory.total
    env = {"RAY_memory_usage_threshold": f"{threshold:.4f}"}
    sweep = Sweep(folder, env=env | {"RAY_memory_monitor_refresh_ms": "100"}, options=_PATIENT)
    yield Place(sweep, sweep.storage / "mlflow.db", exhaust_memory)


@contextmanager
def _mlflow_server(folder: Path) -> Iterator[Place]:
    folder.mkdir(parents=True)
    server = Server(folder)
    server.start()

    def harm(scene: Scene) -> None:
        if scene.is_over():
            return
        server.kill()
        time.sleep(scene.draw.uniform(0, 10))  # how long it is away is what is random
        server.start()

    try:
        yield Place(Sweep(folder / "sweep", tracking_uri=server.uri), folder / "mlflow.db", harm)
    finally:
        server.kill()


@contextmanager
def _postgres(folder: Path) -> Iterator[Place]:
    with contextlib.closing(postgres_server()) as server:

        def harm(scene: Scene) -> None:
            if scene.is_over():
                return
            server.kill()
            time.sleep(scene.draw.uniform(0, 10))
            server.start()

        sweep = Sweep(folder, ledger=server.url)
        yield Place(sweep, sweep.storage / "mlflow.db", harm)


def _killed(*words: str) -> Callable[[Path], AbstractContextManager[Place]]:
    return lambda folder: _plain(folder, killing(*words))


def _workers(scene: Scene) -> list[psutil.Process]:
    return scene.sweep.processes("ray::PretrainTrainable")


def _pid(process: psutil.Process) -> int:
    return int(process.pid)


_PATIENT = ("--retries", "20")
KINDS: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "command": lambda folder: _plain(folder, kill_command),
    "driver": _killed(DRIVER),
    "worker": _killed("ray::PretrainTrainable"),
    "raylet": _killed("raylet/raylet "),
    "gcs": _killed("gcs_server "),
    "dashboard_agent": _killed("ray::DashboardAgent"),
    "runtime_env_agent": _killed("ray::RuntimeEnvAgent"),
    "log_monitor": _killed("log_monitor.py"),
    "mlflow": _mlflow_server,
    "database": _postgres,
    "suspended_driver": _short_lease,
    "memory": _little_memory,
}
