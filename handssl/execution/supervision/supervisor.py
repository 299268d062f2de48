"""Supervisor of the process that drives Ray, which starts it again if Ray has ended.

If its raylet or GCS ends, Ray's core ends the process that it is loaded into, without an exception,
so nothing in that process can continue. So the driver is a separate process: this one reports its
events, forwards signals to it, and survives it. The ledger makes restarts exact: a study continues
where it was.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

from handssl.errors import ClusterLostError, DataError
from handssl.execution.supervision import driver_process
from handssl.planning.execution_options import ExecutionOptions
from handssl.runtime.interruption import Interruption
from handssl.study.events import EpochEnded, OnEvent, StudyMessage, Tick

if TYPE_CHECKING:
    from handssl.execution.cluster.processes import RayProcess

MAX_STARTS_IN_VAIN = 3
START_S = 100.0
_PERIOD_S = 0.2
_MOMENT_S = 0.1
_DYING_S = 5.0
_END_S = 60.0
_EXIT_S = 10.0


class RayLostError(Exception):
    """The driver's process or its Ray has ended; the message names the part."""


def is_connected() -> bool:
    """Return whether this process is connected to a Ray, and so is a driver itself."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


class Supervisor:
    """Calls functions in a driver's process.

    Args:
        options: Execution options; with an address, Ray is not started again.
        kept: Whether one Ray is used for all calls; otherwise each call starts its own.
    """

    def __init__(self, options: ExecutionOptions, *, kept: bool = False) -> None:
        self._options, self._kept = options, kept
        self._driver: _Driver | None = None
        self._in_vain = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._driver is not None:
            self._driver.close()

    def call(
        self, function: str, on_event: OnEvent, interruption: Interruption, **arguments: Any
    ) -> Any:
        """Call a function in the driver, again after each end of Ray, and return its result.

        Args:
            function: `module:name`; it also takes `on_event` and `interruption`, and continues
                where an earlier call was when it is called again.
            on_event: Called with every event of the function, in this thread.
            interruption: Interruption whose signal is forwarded.
            arguments: Arguments of the function; `storage` is the folder of its claims.

        Raises:
            ClusterLostError: The Ray of another process has ended, or a local Ray has ended
                repeatedly without an epoch in between.
        """
        while True:
            try:
                return self._once(function, arguments, on_event, interruption)
            except RayLostError as lost:
                self._bury()
                self._require_hope(str(lost), on_event, arguments["storage"])

    def _once(
        self,
        function: str,
        arguments: dict[str, Any],
        on_event: OnEvent,
        interruption: Interruption,
    ) -> Any:
        if self._driver is None:
            self._driver = _Driver(self._options if self._kept else None)
        self._driver.ask("call", (function, arguments))
        for kind, what in self._driver.messages(interruption):
            if kind == "done":
                return what
            if kind == "failed":
                raise what
            if isinstance(what, EpochEnded) and math.isfinite(what.seconds):  # trained just now
                self._in_vain = 0
            on_event(what)
        raise AssertionError("a driver sends messages until it is done or has failed")

    def _bury(self) -> None:
        if self._driver is not None:
            self._driver.kill()
        self._driver = None

    def _require_hope(self, what: str, on_event: OnEvent, storage: Path) -> None:
        """Report that Ray is started again, or give up."""
        self._in_vain += 1
        if self._options.address is None and self._in_vain <= MAX_STARTS_IN_VAIN:
            on_event(
                StudyMessage(f"Ray has ended: {what}. It is started again; all results are kept.")
            )
            return
        _release_claims(storage)
        if self._options.address is not None:
            raise ClusterLostError(
                f"the Ray cluster at {self._options.address} has ended: {what}; all results so far "
                "are kept, run the same command again when the cluster is back"
            )
        raise ClusterLostError(
            f"Ray has ended {self._in_vain} times without an epoch in between, finally: {what}; "
            "all results so far are kept. Check the machine with `handssl doctor`, then run the "
            "same command again"
        )


class _Driver:
    """A driver's process, with all processes that it has started, in a separate session."""

    def __init__(self, kept: ExecutionOptions | None) -> None:
        self._ray: tuple[RayProcess, ...] = ()
        self._starting_s: float | None = None
        self._is_stopping = False
        self._connection, theirs = Pipe()
        number = theirs.fileno()
        words = [sys.executable, "-P", driver_process.__file__, str(number)]
        with theirs:
            # Signals are blocked, hence pending, until the driver can handle them.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            try:
                self._process = subprocess.Popen(  # noqa: S603  (words of ours)
                    words, pass_fds=[number], stdin=subprocess.DEVNULL, start_new_session=True
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._send(([path or str(Path.cwd()) for path in sys.path], sys.argv[0]))
        if kept is not None:
            self.ask("keep", kept)

    def ask(self, kind: str, what: Any = None) -> None:
        """Send a request to the driver."""
        self._send((kind, what))

    def _send(self, what: Any) -> None:
        with suppress(BrokenPipeError):  # `messages` notices that it has ended
            self._connection.send(what)

    def messages(self, interruption: Interruption) -> Iterator[tuple[str, Any]]:
        """Yield the driver's messages: `event`, finally `done` or `failed`.

        Raises:
            RayLostError: The driver or its Ray has ended.
        """
        while True:
            if interruption.requested and not self._is_stopping:
                self._is_stopping = True
                self.ask("stop", interruption.signal)
            if self._receives(0.0):
                yield from self._news()
            elif ended := self._ended():
                raise RayLostError(ended)
            elif not self._receives(_PERIOD_S):
                yield "event", Tick()

    def _news(self) -> Iterator[tuple[str, Any]]:
        try:
            kind, what = self._connection.recv()
        except (EOFError, OSError):
            raise RayLostError(self._describe_end()) from None
        if kind == "starting":
            self._starting_s = time.monotonic()
        elif kind == "started":
            self._starting_s, self._ray = None, what
        elif kind == "lost":
            raise RayLostError(self._ended_processes() or what)
        else:
            yield kind, what

    def _receives(self, timeout_s: float) -> bool:
        """Return whether there is something to read, including the end of the pipe."""
        return self._connection.poll(timeout_s)

    def _ended(self) -> str:
        """Describe ended processes that Ray needs, once all messages are read; empty if none."""
        if self._starting_s is not None and time.monotonic() - self._starting_s > START_S:
            return f"it has not started within {START_S:.0f} s"
        names = self._names_of_ended()
        if not names or self._receives(0.0):  # it may just have ended Ray itself
            return ""
        with suppress(subprocess.TimeoutExpired):
            # If the driver ends, several processes end at once, before all of its threads do.
            self._process.wait(_MOMENT_S if len(names) == 1 else _DYING_S)
            return self._describe_end()
        return self._ended_processes()

    def _names_of_ended(self) -> list[str]:
        return [process.name for process in self._ray if not process.is_running()]

    def _ended_processes(self) -> str:
        names = self._names_of_ended()
        return f"its {' and '.join(names)} ended" if names else ""

    def _describe_end(self) -> str:
        """Describe why the process ended; Ray ends it with 1 if one of its own parts is missing."""
        ended, code = self._ended_processes(), self._process.wait(_END_S)
        if code < 0:
            return f"the process that drives it was ended by signal {-code}"
        return ended or f"it ended the process that drives it (exit code {code})"

    def close(self) -> None:
        """Stop the driver, and wait until all of its processes have ended."""
        self.ask("stop")
        self.ask("end")
        deadline_s = time.monotonic() + _END_S
        with suppress(EOFError, OSError):
            while time.monotonic() < deadline_s:
                if self._receives(_PERIOD_S):
                    self._connection.recv()  # otherwise it would wait for a reader
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_S)
        self.kill()

    def kill(self) -> None:
        """Kill the driver and all that it has started."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PERIOD_S)
        end_session(self._process.pid)
        self._process.wait(_END_S)
        self._connection.close()


def end_session(leader: int, *, but: int = 0) -> None:
    """Kill every process of a session; Ray's own processes take a minute to end by themselves.

    Args:
        leader: Process id of the session's leader.
        but: Process id that is not killed; 0: none.
    """
    ended = []
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if pid != but and os.getsid(pid) == leader:
                process = psutil.Process(pid)
                process.kill()
                ended.append(process)
    psutil.wait_procs(ended, timeout=_PERIOD_S if but else _END_S)


def _release_claims(storage: Path) -> None:
    """Release the claims of drivers on this machine that have ended."""
    from handssl.ledger import Ledger

    with suppress(DataError):
        Ledger(storage).claims.release_dead()
