"""Watch over the Ray that this process is connected to; reports which part has ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from handssl.errors import ClusterLostError
from handssl.execution.cluster import processes

PERIOD_S = 0.5
ANSWER_S = 5.0
# Limits in consecutive unanswered requests, so that time in which this process was suspended does
# not count. Ray's own client of the GCS ends the process after 60 s; a cluster of another process
# that comes back sooner is waited for.
OWN_UNANSWERED, UNANSWERED = 4, 9
_REFUSED = 2  # consecutive refused connections that mean the raylet ended
_LOOK_S = 0.1


class Watch:
    """Monitors the cluster that this process is connected to, in a background thread.

    Args:
        owned: Whether this process has started the cluster.

    Attributes:
        lost: Description of the part that has ended; empty while the cluster is running.
    """

    def __init__(self, *, owned: bool) -> None:
        context = ray.get_runtime_context()
        self._gcs: Any = ray._private.worker.global_worker.gcs_client
        self._node = ray.NodeID.from_hex(context.get_node_id())
        self._most = OWN_UNANSWERED if owned else UNANSWERED
        self._raylet = _raylet_address(context.get_node_id())
        self.lost, self._checks = "", 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._check, daemon=True, name="handssl-ray-watch")
        self._thread.start()

    def require(self) -> None:
        """Raise an error if the cluster is known to have ended.

        Raises:
            ClusterLostError: The cluster has ended; the message names the part.
        """
        if self.lost:
            raise ClusterLostError(f"the Ray cluster has ended: {self.lost}")

    def require_now(self) -> None:
        """Check the cluster first, then raise an error if it has ended.

        Raises:
            ClusterLostError: The cluster has ended; the message names the part.
        """
        until = self._checks + 2 * _REFUSED
        while self._checks < until and self._thread.is_alive():
            self._thread.join(_LOOK_S)
        self.require()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join(2 * ANSWER_S)

    def _check(self) -> None:
        unanswered = refused = 0
        while not self._closing.wait(PERIOD_S):
            self._checks += 1
            refused = refused + 1 if self._refuses() else 0
            answer = self._answer()
            unanswered = unanswered + 1 if answer is None else 0
            if refused >= _REFUSED:
                self._end("the raylet of this node ended")
            elif answer is False:
                self._end("Ray has declared this node dead")
            elif unanswered >= self._most:
                self._end(f"gcs_server did not answer {unanswered} consecutive requests")
            if self.lost:
                return

    def _end(self, what: str) -> None:
        if not self._closing.is_set():
            self.lost = what
            processes.listener.lost(what)

    def _answer(self) -> bool | None:
        """Return whether this node is alive according to the GCS; None if it does not answer."""
        try:
            return bool(self._gcs.check_alive([self._node], timeout=ANSWER_S)[0])
        except Exception:  # its client raises errors of many classes
            return None

    def _refuses(self) -> bool:
        """Return whether this node's raylet refuses connections."""
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
    """Watch the cluster that this process is connected to while the block runs."""
    watch = Watch(owned=owned)
    try:
        yield watch
    finally:
        watch.close()
