"""The processes of a Ray of our own that it cannot do without, and who is told of them.

No Ray is imported here: whoever looks after a driver of Ray is none itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

# Ray ends when one of these ends: by its program or title, or by its script before it has a title.
_PROGRAMS = {
    "gcs_server": "gcs_server",
    "raylet": "raylet",
    "ray::DashboardAgent": "DashboardAgent",
    "ray::RuntimeEnvAgent": "RuntimeEnvAgent",
}
_SCRIPTS = {"dashboard/agent.py": "DashboardAgent", "agent/main.py": "RuntimeEnvAgent"}


@dataclass(frozen=True)
class RayProcess:
    """A process of Ray without which Ray ends.

    Attributes:
        name: As Ray calls it.
        pid: Its id.
        born_s: When it was started; the id may be another's later.
    """

    name: str
    pid: int
    born_s: float

    def is_running(self) -> bool:
        """Say whether it still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = process.create_time() == self.born_s
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


class Listener(Protocol):
    """Who is told of the Ray of this process."""

    def starting(self) -> None:
        """A Ray of our own is being started."""

    def started(self, processes: Sequence[RayProcess]) -> None:
        """It has started."""

    def lost(self, what: str) -> None:
        """The Ray that this process is connected to has ended."""


class _Silent:
    def starting(self) -> None: ...
    def started(self, processes: Sequence[RayProcess]) -> None: ...
    def lost(self, what: str) -> None: ...


listener: Listener = _Silent()


def needed_processes() -> tuple[RayProcess, ...]:
    """Return the processes of a Ray that this process has started, those it cannot do without."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if name := _name(process.cmdline()):
                found.append(RayProcess(name, process.pid, process.create_time()))
        except psutil.Error:
            continue
    return tuple(found)


def _name(words: Sequence[str]) -> str:
    # A raylet has the command lines of its agents among its arguments: the first words alone count.
    program = words[0].rpartition("/")[2].strip() if words else ""
    scripts = (name for end, name in _SCRIPTS.items() if any(w.endswith(end) for w in words[1:3]))
    return _PROGRAMS.get(program) or next(scripts, "")
