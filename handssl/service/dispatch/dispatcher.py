"""The dispatcher: starts the next jobs while this service holds the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from handssl.errors import HandsslError
from handssl.service.dispatch.attempt import Tell, Watcher
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.dispatch.workflows import Attempts
from handssl.service.errors import LostLeaseError
from handssl.service.queue.admission import Limits, admit, is_draining
from handssl.service.queue.lease import Lease
from handssl.service.queue.queue import Queue

_POLL_S = 0.5
_LOOK_S = 10.0
_END_S = 10.0


class Dispatcher:
    """Holds the lease or waits for it, and dispatches, in a background thread.

    Args:
        queue: Queue of the service.
        lease: Lease whose holder dispatches.
        limits: Limits on jobs that run at the same time.
        watcher: Starts and watches attempts.
        url: URL of the queue's database.
        on_lead: Called when this service begins to dispatch; must return at once.
        on_lost: Called when another service has taken over: the attempts of this one are now the
            other's, so the process has to restart.
        notify: Called with each message for the operator.
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
        notify: Tell,
    ) -> None:
        self._queue, self._lease, self._limits = queue, lease, limits
        self._notify, self._on_lead, self._on_lost = notify, on_lead, on_lost
        self.attempts = Attempts(url, watcher.submit, watcher.watch, watcher.finish)
        self.dispatches = False
        self._alone, self._looked_s = set[str](), time.monotonic()
        self.wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="handssl-dispatcher")

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def stop(self, end: Callable[[], None]) -> None:
        """Stop dispatching and let a standby take over; drivers in Ray keep running.

        Args:
            end: Called if this service dispatches, before another one may.
        """
        self._closing.set()
        self.wake.set()
        self._thread.join(_END_S)
        if self.dispatches:
            with self._lease.kept():
                self.attempts.close()
                end()

    def _work(self) -> None:
        last = ""
        while not self._closing.is_set():
            try:
                self._turn()
                last = ""
            except LostLeaseError as error:
                self._notify(f"{error}; this one stands by")
                self._on_lost()
                return
            except Exception as error:  # e.g. the database is not reachable: tried again
                text = str(error) if isinstance(error, HandsslError) else repr(error)
                if text != last:
                    self._notify(text)
                last = text
            self.wake.wait(_POLL_S)
            self.wake.clear()

    def _turn(self) -> None:
        if not self.dispatches:
            if not self._lease.take():
                return
            self.attempts.launch()
            self.dispatches = True
            self._notify("this service dispatches")
            self._on_lead()
        if time.monotonic() - self._looked_s > _LOOK_S:
            self._look_after_forgotten()
        if is_draining(self._queue.database):
            if not self._lease.take():
                raise LostLeaseError("another service dispatches now")
            return
        admit(self._queue, self._lease, self._limits, self.attempts.enqueue)

    def _look_after_forgotten(self) -> None:
        """Resume attempts that no service works on because the service that had them has ended.

        A new attempt may not have begun yet, so only one that is found twice in a row counts.
        """
        running = {job.submission: job for job in self._queue.running()}
        alone = {name for name in running if not self.attempts.are_here(name)}
        for name in alone & self._alone:
            if not self.attempts.go_on(name):
                lost = Outcome("lost", message="no service was watching it any more")
                finish(self._queue, running[name].id, running[name].attempt, lost)
        self._alone, self._looked_s = alone, time.monotonic()
