"""A watch over the Ray that this process is connected to: says what of it has ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from handssl.errors import ClusterLostError
from handssl.sweep import ray_processes

PERIOD_S = 0.5
ANSWER_S = 5.0
# Questions in a row without an answer, so that no time counts in which this process was suspended.
# Ray's own client of the GCS ends the process after 60 s: another's that comes back sooner is
# waited for.
OWN_UNANSWERED, UNANSWERED = 4, 9
_REFUSED = 2  # connections in a row, of a raylet that ended
_LOOK_S = 0.1


class Watch:
    """Looks at the cluster that this process is connected to, in a thread of its own.

    Args:
        owned: Whether this process has started it.

    Attributes:
        lost: What has ended, empty before.
    """

    def __init__(self, *, owned: bool) -> None:
        context = ray.get_runtime_context()
        self._gcs: Any = ray._private.worker.global_worker.gcs_client
        self._node = ray.NodeID.from_hex(context.get_node_id())
        self._most = OWN_UNANSWERED if owned else UNANSWERED
        self._raylet = _raylet_address(context.get_node_id())
        self.lost, self._looks = "", 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="handssl-ray-watch")
        self._thread.start()

    def require(self) -> None:
        """Raise where the cluster has ended.

        Raises:
            ClusterLostError: It says what of it.
        """
        if self.lost:
            raise ClusterLostError(f"the Ray cluster has ended: {self.lost}")

    def require_now(self) -> None:
        """Raise where the cluster has ended, also where that was not seen yet: look first.

        Raises:
            ClusterLostError: It says what of it.
        """
        until = self._looks + 2 * _REFUSED
        while self._looks < until and self._thread.is_alive():
            self._thread.join(_LOOK_S)
        self.require()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        self._thread.join(2 * ANSWER_S)

    def _look(self) -> None:
        unanswered = refused = 0
        while not self._closing.wait(PERIOD_S):
            self._looks += 1
            refused = refused + 1 if self._refuses() else 0
            answer = self._answer()
            unanswered = unanswered + 1 if answer is None else 0
            if refused >= _REFUSED:
                self._end("the raylet of this node ended")
            elif answer is False:
                self._end("Ray has given this node up")
            elif unanswered >= self._most:
                self._end(f"gcs_server has left {unanswered} questions in a row unanswered")
            if self.lost:
                return

    def _end(self, what: str) -> None:
        if not self._closing.is_set():
            self.lost = what
            ray_processes.listener.lost(what)

    def _answer(self) -> bool | None:
        """Ask the GCS whether this node is there; None if it does not answer."""
        try:
            return bool(self._gcs.check_alive([self._node], timeout=ANSWER_S)[0])
        except Exception:  # of every kind that its client has
            return None

    def _refuses(self) -> bool:
        """Say whether nobody listens where this node's raylet does."""
        try:
            socket.create_connection(self._raylet, timeout=ANSWER_S).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def _raylet_address(node: str) -> tuple[str, int]:
    [found] = [one for one in ray.nodes() if one["NodeID"] == node]
    return found["NodeManagerAddress"], found["NodeManagerPort"]


@contextmanager
def watching(*, owned: bool) -> Iterator[Watch]:
    """Watch the cluster that this process is connected to, while the block runs."""
    watch = Watch(owned=owned)
    try:
        yield watch
    finally:
        watch.close()
