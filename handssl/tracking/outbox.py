"""Background thread that delivers keys and retries until they arrive; `put` never blocks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from handssl.runtime.secrets import masked

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_LOG = logging.getLogger("handssl")


class UnavailableError(Exception):
    """The receiver is not reachable at the moment; the message says why."""


class Outbox:
    """Queue of keys to deliver, each once; their content is kept elsewhere, e.g. on disk.

    Args:
        name: Name of the receiver, for messages.
        deliver: Called in the thread with a key. `UnavailableError` means that the key and all
            others remain queued and are tried again after a pause.
        flush_s: Longest time that a key waits if it is not urgent, seconds.
        pauses_s: Pauses between attempts while the receiver is not reachable, seconds; the last
            one is repeated.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[str], None],
        *,
        flush_s: float = 3.0,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._name, self._deliver, self._flush_s = name, deliver, flush_s
        self._pauses_s, self._failures, self._away_since_s = pauses_s, 0, 0.0
        self._changed = threading.Condition()
        self._due: dict[str, None] = {}
        self._under_way: dict[str, None] = {}
        self._urgent, self._closing, self._arrived = False, False, 0
        self._thread: threading.Thread | None = None

    @property
    def is_away(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def put(self, *keys: str, urgent: bool = False) -> None:
        """Queue keys for delivery.

        Args:
            keys: Keys to deliver; one that is already queued is delivered once.
            urgent: Deliver at once instead of waiting for others.
        """
        with self._changed:
            self._due |= dict.fromkeys(keys)
            self._urgent |= urgent
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until everything has arrived or an attempt has failed.

        Returns:
            Whether everything has arrived.
        """
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.is_away or self._is_idle(), timeout_s)
            return self._is_idle()

    def close(self, timeout_s: float, *, patient: bool = False) -> tuple[str, ...]:
        """Try once more, without a pause, and end the thread.

        Args:
            timeout_s: Longest time to wait, seconds.
            patient: Wait that long for each key instead of for all together.

        Returns:
            Keys that have not arrived.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        waiting = self._thread is not None
        while self._thread is not None and waiting:
            arrived = self._arrived
            self._thread.join(timeout_s)
            waiting = patient and self._thread.is_alive() and self._arrived > arrived
        with self._changed:
            return tuple(self._under_way | self._due)

    def _is_idle(self) -> bool:
        return not self._due and not self._under_way

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._wait_for_work()
                closing, keys, self._urgent = self._closing, list(self._due), False
            arrived = self._attempt(keys)
            with self._changed:
                self._failures = 0 if arrived else self._failures + 1
                self._changed.notify_all()

    def _wait_for_work(self) -> None:
        if self._failures:
            pause_s = self._pauses_s[min(self._failures, len(self._pauses_s)) - 1]
            self._changed.wait_for(lambda: self._closing, pause_s)
            return
        self._changed.wait_for(lambda: self._closing or self._due)
        self._changed.wait_for(lambda: self._closing or self._urgent, self._flush_s)

    def _attempt(self, keys: list[str]) -> bool:
        """Deliver keys in their order; return whether the receiver is reachable."""
        for key in keys:
            with self._changed:
                self._due.pop(key, None)  # before delivery: it may be queued again meanwhile
                self._under_way = {key: None}
            try:
                self._deliver(key)
            except UnavailableError as error:
                with self._changed:
                    self._due, self._under_way = self._under_way | self._due, {}
                self._say_away(masked(str(error)))
                return False
            except Exception as error:
                _LOG.warning("%s: %s cannot be shown (%s)", self._name, key, masked(repr(error)))
            self._say_back()
            with self._changed:
                self._under_way = {}
                self._arrived += 1
        return True

    def _say_away(self, reason: str) -> None:
        if not self._failures and not self._away_since_s:
            self._away_since_s = time.monotonic()
            _LOG.warning(
                "%s cannot be written (%s); training continues, the local record is complete, and "
                "missing data are written once it is reachable again",
                *(self._name, reason),
            )

    def _say_back(self) -> None:
        if self._away_since_s:
            seconds = time.monotonic() - self._away_since_s
            self._away_since_s = 0.0
            _LOG.warning(
                "%s is reachable again after %.0f s; missing data are written", self._name, seconds
            )
