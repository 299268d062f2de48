"""What a driver's process is asked to do in tests of those who look after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from handssl.errors import InputError
from handssl.execution.cluster import processes

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def tell(*, on_event, interruption, storage: Path, texts: list[str]) -> int:
    """Tell something, and return the process it was told by."""
    from handssl.study.events import StudyMessage  # with torch, which the others need not

    for text in texts:
        on_event(StudyMessage(text))
    return os.getpid()


def refuse(*, on_event, interruption, storage: Path) -> None:
    raise InputError("expected something else")


def stumble(*, on_event, interruption, storage: Path) -> None:
    raise ZeroDivisionError("by accident")


def end_as_ray_does(*, on_event, interruption, storage: Path, times: int) -> int:
    """End the process without a word, so many times; each leaves a line, and another process."""
    file = storage / "calls.txt"
    with file.open("a") as lines:
        lines.write(f"{subprocess.Popen(SLEEPER).pid}\n")
    calls = len(file.read_text().split())
    if calls <= times:
        os._exit(1)
    return calls


def lose_a_part(*, on_event, interruption, storage: Path) -> str:
    """Be a driver whose raylet is killed once, and that then waits endlessly."""
    if (storage / "killed").exists():
        return "went on"
    raylet = subprocess.Popen(SLEEPER)
    born_s = psutil.Process(raylet.pid).create_time()
    processes.listener.started([processes.RayProcess("raylet", raylet.pid, born_s)])
    (storage / "killed").touch()
    raylet.kill()
    time.sleep(600)
    return "waited"


def start_for_ever(*, on_event, interruption, storage: Path) -> None:
    """Be a driver whose Ray does not start."""
    processes.listener.starting()
    time.sleep(600)


def wait_for_the_end(*, on_event, interruption, storage: Path) -> signal.Signals | None:
    """Be stopped."""
    from handssl.study.events import StudyMessage

    on_event(StudyMessage("waits"))
    deadline = time.monotonic() + 60
    while not interruption.requested and time.monotonic() < deadline:
        time.sleep(0.02)
    assert interruption.requested
    return interruption.signal


def look_alone() -> None:
    """Be a command that waits for its driver: as a program, for tests that kill it."""
    from handssl.execution.supervision.supervisor import Supervisor
    from handssl.planning.execution_options import ExecutionOptions
    from handssl.runtime.interruption import Interruption

    with Supervisor(ExecutionOptions()) as supervisor, Interruption() as interruption:
        where = "tests.execution.supervision.supervised_calls:sleep_with_another"
        supervisor.call(where, lambda event: None, interruption, storage=Path(sys.argv[1]))


def sleep_with_another(*, on_event, interruption, storage: Path) -> None:
    """Start a process, say both, and wait."""
    other = subprocess.Popen(SLEEPER)
    new = storage / "new.txt"
    new.write_text(f"{os.getpid()} {other.pid}")
    new.rename(storage / "pids.txt")
    time.sleep(600)


if __name__ == "__main__":
    look_alone()
