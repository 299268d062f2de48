"""Processes that a local Ray needs, and the listener that is notified about them.

Ray is not imported here, since the supervisor of a driver of Ray doesn't use Ray itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

# Ray ends when one of these ends: by program name or title, or by script before the title is set.
_PROGRAMS = {
    "gcs_server": "gcs_server",
    "raylet": "raylet",
    "ray::DashboardAgent": "DashboardAgent",
    "ray::RuntimeEnvAgent": "RuntimeEnvAgent",
}
_SCRIPTS = {"dashboard/agent.py": "DashboardAgent", "agent/main.py": "RuntimeEnvAgent"}


@dataclass(frozen=True)
class RayProcess:
    """A process that Ray needs: Ray ends when it ends.

    Attributes:
        name: Ray's name of the process.
        pid: Process id.
        born_s: Start time in seconds since the epoch, since the id may be reused later.
    """

    name: str
    pid: int
    born_s: float

    def is_running(self) -> bool:
        """Return whether it is still running; a zombie is not."""
        try:
            process = psutil.Process(self.pid)
            same = process.create_time() == self.born_s
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


class Listener(Protocol):
    """Interface of listeners to the state of this process's Ray."""

    def starting(self) -> None:
        """A local Ray is being started."""

    def started(self, processes: Sequence[RayProcess]) -> None:
        """It has started, with the processes it needs."""

    def lost(self, what: str) -> None:
        """The Ray that this process is connected to has ended."""


class _Silent:
    def starting(self) -> None: ...
    def started(self, processes: Sequence[RayProcess]) -> None: ...
    def lost(self, what: str) -> None: ...


listener: Listener = _Silent()


def needed_processes() -> tuple[RayProcess, ...]:
    """Return the needed processes of the Ray that this process has started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if name := _name(process.cmdline()):
                found.append(RayProcess(name, process.pid, process.create_time()))
        except psutil.Error:
            continue
    return tuple(found)


def _name(words: Sequence[str]) -> str:
    # A raylet has the command lines of its agents among its arguments: only the first words count.
    program = words[0].rpartition("/")[2].strip() if words else ""
    scripts = (name for end, name in _SCRIPTS.items() if any(w.endswith(end) for w in words[1:3]))
    return _PROGRAMS.get(program) or next(scripts, "")
