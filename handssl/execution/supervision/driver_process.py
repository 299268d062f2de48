"""Child process that drives Ray for its parent, which supervises it, see `supervisor`.

Run as a program whose argument is a file descriptor: its end of a pipe. The process and all that it
has started end with the parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handssl.execution.cluster.processes import RayProcess
    from handssl.planning.execution_options import ExecutionOptions
    from handssl.runtime.interruption import Interruption


class Parent:
    """Messages from and to the parent process.

    Args:
        connection: This process's end of the pipe.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def hear(self) -> Any:
        """Return the next message; raise EOFError if the parent has ended."""
        return self._connection.recv()

    def say(self, kind: str, what: Any = None) -> None:
        """Send a message: `event`, `starting`, `started`, `lost`, `done` or `failed`."""
        with self._lock:
            self._connection.send((kind, what))

    def starting(self) -> None:
        """Report that a local Ray is being started."""
        self.say("starting")

    def started(self, processes: Sequence[RayProcess]) -> None:
        """Report that it has started, with the processes it needs."""
        self.say("started", tuple(processes))

    def lost(self, what: str) -> None:
        """Report that the Ray that this process is connected to has ended."""
        self.say("lost", what)


def main() -> None:
    """Execute the parent's calls, one after the other."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    parent = Parent(Connection(descriptor))
    sys.path[:], sys.argv[0] = parent.hear()
    from handssl.execution.cluster import processes
    from handssl.runtime.interruption import SIGNALS, Interruption

    processes.listener = parent
    calls: SimpleQueue[Any] = SimpleQueue()
    with Interruption() as interruption:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        listening = (parent, calls, interruption)
        threading.Thread(target=_listen, args=listening, daemon=True, name="parent").start()
        _serve(parent, calls.get, interruption)


def _listen(parent: Parent, calls: SimpleQueue[Any], interruption: Interruption) -> None:
    """Receive calls and requests to stop immediately."""
    while True:
        try:
            kind, what = parent.hear()
        except (EOFError, OSError):
            _end_all()
        if kind != "stop":
            calls.put((kind, what))
        elif what is None:
            interruption.requested = True
        else:
            os.kill(os.getpid(), what)  # the main thread may be anywhere


def _end_all() -> None:
    """End this session: the parent was killed, and Ray's idle processes notice it late."""
    from handssl.execution.supervision.supervisor import end_session

    end_session(os.getpid(), but=os.getpid())
    os._exit(1)


def _serve(
    parent: Parent, next_call: Callable[[], tuple[str, Any]], interruption: Interruption
) -> None:
    with ExitStack() as stack:
        while (call := next_call())[0] != "end":
            kind, what = call
            try:
                if kind == "keep":
                    _keep_ray(stack, what)
                else:
                    parent.say("done", _called(parent, what, interruption))
            except BaseException as error:
                _fail(parent, error)
                if kind == "keep":
                    return


def _keep_ray(stack: ExitStack, options: ExecutionOptions) -> None:
    """Keep one Ray running for all calls that follow."""
    from handssl.execution.cluster.local_ray import ray_cluster

    stack.enter_context(ray_cluster(options.address, options=options))


def _called(parent: Parent, call: tuple[str, dict[str, Any]], interruption: Interruption) -> Any:
    def on_event(event: Any) -> None:
        parent.say("event", event)

    where, arguments = call
    module, _, name = where.partition(":")
    function = getattr(import_module(module), name)
    return function(**arguments, on_event=on_event, interruption=interruption)


def _fail(parent: Parent, error: BaseException) -> None:
    """Report an error; one that means the end of the cluster is reported as `lost`."""
    from handssl.errors import ClusterLostError, HandsslError

    if isinstance(error, ClusterLostError):
        parent.say("lost", str(error))
    elif not isinstance(error, HandsslError) and (lost := _lost(error)):
        parent.say("lost", lost)
    else:
        _send_error(parent, error)


def _lost(error: BaseException) -> str:
    """Describe the end of the cluster if an error of Ray means it; otherwise return ''."""
    if "ray" not in sys.modules:
        return ""
    from handssl.execution.worker_failures import meaning_of

    meaning = meaning_of(error)
    is_lost = meaning is not None and meaning.kind == "cluster"
    return f"{meaning.words} ({str(error)[:300]})" if meaning and is_lost else ""


def _send_error(parent: Parent, error: BaseException) -> None:
    import traceback

    from handssl.errors import HandsslError

    if not isinstance(error, HandsslError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        parent.say("failed", error)
    except Exception:  # it cannot be pickled
        parent.say("failed", RuntimeError("".join(traceback.format_exception(error))))


if __name__ == "__main__":
    main()
