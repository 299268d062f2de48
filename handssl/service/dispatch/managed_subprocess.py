"""Management of a subprocess of the service: found again after a restart, stopped with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from handssl.runtime.secrets import without_service_secrets

_END_S = 20.0
_SAME_S = 2.0
_BOOT_S = 60.0  # tolerance, as a clock adjustment shifts the boot time


@dataclass(frozen=True)
class Command:
    """Command that starts a program.

    Attributes:
        words: The command line.
        url: URL at which the program then answers.
        env: Variables added to the environment.
    """

    words: Sequence[str]
    url: str
    env: Mapping[str, str]


class ManagedSubprocess:
    """A program in its own session, so that it survives a service that is killed.

    Its process id and address are kept in a file: the next service on the same storage finds it
    there. A program that has ended is started again.

    Args:
        name: Name of the program, and of its files in the folder.
        folder: Folder of the service.
        command: Returns the command for a free port.
        health: URL path that answers when the program is ready.
        on_end: Called after the program was stopped.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Callable[[int], Command],
        health: str,
        *,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self._command, self._health = name, command, health
        self._on_end = on_end
        self._file, self._log = folder / f"{name}.json", folder / f"{name}.log"
        self._folder = str(folder.resolve())
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL of the program, empty if it has not been started."""
        return str(self._known().get("url", ""))

    def ensure(self) -> bool:
        """Start the program unless it runs; return whether it answers now."""
        if self._process() is None:
            self._start()
        return self.answers()

    def answers(self) -> bool:
        """Return whether the program is ready."""
        with contextlib.suppress(requests.RequestException):
            found = requests.get(self.url + self._health, timeout=2.0)
            return bool(self.url) and found.status_code < 500
        return False

    def end(self) -> None:
        """Stop the program and all its descendants."""
        process = self._process()
        self._file.unlink(missing_ok=True)
        if process is not None:
            self._end(process)
        self._on_end()

    @property
    def process(self) -> psutil.Process | None:
        """The running process, None if there is none."""
        return self._process()

    def _end(self, process: psutil.Process) -> None:
        family = [process, *process.children(recursive=True)]
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=_END_S)
        for one in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(alive, timeout=_END_S)
        if self._started is not None:
            self._started.wait(_END_S)

    def _bury(self) -> None:
        """Kill the remaining processes of a program that has ended: all of its session.

        Its process id may belong to another process by now, e.g. after a reboot.
        """
        known = self._known()
        leader, born_s = int(known.get("pid", 0)), float(known.get("born_s", 0.0))
        if not leader or abs(psutil.boot_time() - float(known.get("boot_s", 0.0))) > _BOOT_S:
            return
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == leader and _is_left(process, leader, born_s):
                    process.kill()

    def _start(self) -> None:
        self._bury()
        command = self._command(free_port())
        with self._log.open("ab") as log:
            self._started = subprocess.Popen(  # noqa: S603  (words of ours)
                list(command.words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=without_service_secrets(os.environ) | dict(command.env),
                start_new_session=True,
            )
        try:
            self._remember(self._started.pid, command.url)
        except OSError:  # e.g. a full disk: without the file it would be started again and again
            os.killpg(self._started.pid, signal.SIGKILL)
            self._started.wait(_END_S)
            raise

    def _remember(self, pid: int, url: str) -> None:
        known = {"pid": pid, "born_s": psutil.Process(pid).create_time(), "url": url}
        known |= {"boot_s": psutil.boot_time(), "folder": self._folder}
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(known))
        new.rename(self._file)

    def _known(self) -> dict[str, float | str]:
        """Return the stored state; nothing if the storage is a copy, as it is another service's."""
        try:
            known = dict(json.loads(self._file.read_text()))
        except (OSError, ValueError):
            return {}
        return known if known.get("folder", self._folder) == self._folder else {}

    def _process(self) -> psutil.Process | None:
        if self._started is not None:
            self._started.poll()  # reaps it if it has ended, so that no zombie is left
        known = self._known()
        try:
            process = psutil.Process(int(known["pid"]))
            same = abs(process.create_time() - float(known["born_s"])) < _SAME_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (KeyError, ValueError, psutil.Error):
            return None


def _is_left(process: psutil.Process, leader: int, born_s: float) -> bool:
    """Return whether a process of the session is its leader, or was started after it."""
    since_s = process.create_time() - born_s
    return bool(abs(since_s) < _SAME_S if process.pid == leader else since_s > -_SAME_S)


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
