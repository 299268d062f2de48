"""The process that is a driver of Ray for another, which looks after it: see `supervisor`.

Run as a program, with the number of a descriptor: its end of a pipe. It ends with its parent, and
so does all that it has started.
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
    from handssl.sweep.interruption import Interruption
    from handssl.sweep.ray_processes import RayProcess
    from handssl.sweep.running import Running


class Parent:
    """What this process is told, and tells.

    Args:
        connection: Its end of the pipe.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def hear(self) -> Any:
        """Return what comes next; EOFError where the parent is gone."""
        return self._connection.recv()

    def say(self, kind: str, what: Any = None) -> None:
        """Tell the parent: `event`, `starting`, `started`, `lost`, `done` or `failed`."""
        with self._lock:
            self._connection.send((kind, what))

    def starting(self) -> None:
        """A Ray of our own is being started."""
        self.say("starting")

    def started(self, processes: Sequence[RayProcess]) -> None:
        """It has started."""
        self.say("started", tuple(processes))

    def lost(self, what: str) -> None:
        """The Ray that this process is connected to has ended."""
        self.say("lost", what)


def main() -> None:
    """Do what the parent asks for, call after call."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    parent = Parent(Connection(descriptor))
    sys.path[:], sys.argv[0] = parent.hear()
    from handssl.sweep import ray_processes
    from handssl.sweep.interruption import SIGNALS, Interruption

    ray_processes.listener = parent
    calls: SimpleQueue[Any] = SimpleQueue()
    with Interruption() as interruption:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        listening = (parent, calls, interruption)
        threading.Thread(target=_listen, args=listening, daemon=True, name="parent").start()
        _serve(parent, calls.get, interruption)


def _listen(parent: Parent, calls: SimpleQueue[Any], interruption: Interruption) -> None:
    """Take calls, and the wish to stop, at once."""
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
    """End this session: the parent was killed, and Ray's idle processes take long to see it."""
    from handssl.sweep.supervisor import end_session

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


def _keep_ray(stack: ExitStack, running: Running) -> None:
    """Hold one Ray for all calls that follow."""
    from handssl.sweep.local_ray import ray_cluster

    stack.enter_context(ray_cluster(running.address, running=running))


def _called(parent: Parent, call: tuple[str, dict[str, Any]], interruption: Interruption) -> Any:
    def on_event(event: Any) -> None:
        parent.say("event", event)

    where, arguments = call
    module, _, name = where.partition(":")
    function = getattr(import_module(module), name)
    return function(**arguments, on_event=on_event, interruption=interruption)


def _fail(parent: Parent, error: BaseException) -> None:
    """Tell of an error; one that means the end of the cluster as such."""
    from handssl.errors import ClusterLostError, HandsslError

    if isinstance(error, ClusterLostError):
        parent.say("lost", str(error))
    elif not isinstance(error, HandsslError) and (lost := _lost(error)):
        parent.say("lost", lost)
    else:
        _send_error(parent, error)


def _lost(error: BaseException) -> str:
    """Return what an error of Ray says of the end of the cluster, nothing if it says none."""
    if "ray" not in sys.modules:
        return ""
    from handssl.sweep.losses import meaning_of

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
