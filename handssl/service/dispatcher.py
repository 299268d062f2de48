"""The dispatcher: starts what comes next, for as long as this service holds the lease."""

from __future__ import annotations

import threading
from collections.abc import Callable

from handssl.errors import DataError
from handssl.service.admission import Limits, admit
from handssl.service.durable import Attempts
from handssl.service.errors import LostLeaseError
from handssl.service.lease import Lease
from handssl.service.queue import Queue
from handssl.service.settings import is_draining
from handssl.service.watching import Tell, Watcher

_POLL_S = 0.5


class Dispatcher:
    """Holds the lease or waits for it, in a thread of its own.

    Args:
        queue: Of the service.
        lease: Whose holder dispatches.
        limits: How much runs at the same time.
        watcher: Starts and looks at attempts.
        url: Of the queue's database.
        on_lead: Called when this one begins to dispatch; returns at once.
        on_lost: Called when another service has taken over: what this one has under way is the
            other's now, so the process has to begin anew.
        tell: Called with each message for the operator.
    """

    def __init__(
        self,
        queue: Queue,
        lease: Lease,
        limits: Limits,
        watcher: Watcher,
        url: str,
        *,
        on_lead: Callable[[], None],
        on_lost: Callable[[], None],
        tell: Tell,
    ) -> None:
        self._queue, self._lease, self._limits = queue, lease, limits
        self._tell, self._on_lead, self._on_lost = tell, on_lead, on_lost
        self.attempts = Attempts(url, watcher.submit, watcher.watch, watcher.finish)
        self.dispatches = False
        self.wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="handssl-dispatcher")

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Start nothing more and let a stand-by take over; what runs in Ray runs on."""
        self._closing.set()
        self.wake.set()
        self._thread.join()
        if self.dispatches:
            self._lease.release()

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                self._turn()
            except DataError as error:  # the database is away: it is tried again
                self._tell(str(error))
            except LostLeaseError:
                self._tell("another service dispatches now; this one stands by")
                self._on_lost()
                return
            self.wake.wait(_POLL_S)
            self.wake.clear()

    def _turn(self) -> None:
        if not self.dispatches:
            if not self._lease.take():
                return
            self._tell("this service dispatches")
            self._on_lead()
            self.attempts.launch()
            self.dispatches = True
        if is_draining(self._queue.database):
            if not self._lease.take():
                raise LostLeaseError("another service dispatches now")
            return
        admit(self._queue, self._lease, self._limits, self.attempts.enqueue)
