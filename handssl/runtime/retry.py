"""Retries while a database is not reachable: a server restart costs minutes, not a study."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from handssl.errors import DatabaseAwayError

LIMIT_S = 600.0
PAUSE_S = 2.0

T = TypeVar("T")
P = ParamSpec("P")


class RetryPolicy:
    """Retry policy for a database that was reachable before.

    All threads that use a database share one: an outage begins with the first failure and ends
    with the first success of any of them.

    Args:
        notify: Called with a message once per outage, in the thread that created this object.
        must_stop: Returns whether to stop waiting.
        limit_s: Longest outage to wait for, seconds.
        pause_s: Pause between two attempts, seconds.

    Example:
        >>> RetryPolicy(print).call(lambda: 3)
        3
    """

    def __init__(
        self,
        notify: Callable[[str], None],
        must_stop: Callable[[], bool] = lambda: False,
        *,
        limit_s: float = LIMIT_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._notify, self._must_stop = notify, must_stop
        self._limit_s, self._pause_s = limit_s, pause_s
        self._thread, self._notified = threading.get_ident(), False
        self._since_s: float | None = None

    def call(self, work: Callable[[], T]) -> T:
        """Call a function, and repeat it until the database is reachable.

        Args:
            work: One transaction that may safely run twice: it may have been committed although
                the response was lost.

        Raises:
            DatabaseAwayError: It was not reachable for too long, or `must_stop` returned True.
        """
        while True:
            try:
                found = work()
            except DatabaseAwayError as error:
                self._wait(error)
            else:
                self._since_s, self._notified = None, False
                return found

    def _wait(self, error: DatabaseAwayError) -> None:
        now_s = time.monotonic()
        since_s = self._since_s = now_s if self._since_s is None else self._since_s
        if self._must_stop() or now_s - since_s >= self._limit_s:
            raise error
        if not self._notified and threading.get_ident() == self._thread:
            self._notified = True
            self._notify(f"waiting, up to {self._limit_s / 60:g} minutes: {error}")
        time.sleep(self._pause_s)


def patient(method: Callable[P, T]) -> Callable[P, T]:
    """Decorate a method that is one transaction: retry it by the policy of its `_database`.

    The method must write the same when it is repeated, see `RetryPolicy.call`.
    """

    @functools.wraps(method)
    def insisting(*args: P.args, **named: P.kwargs) -> T:
        owner: Any = args[0]
        patience: RetryPolicy | None = owner._database.patience
        if patience is None:
            return method(*args, **named)
        return patience.call(lambda: method(*args, **named))

    return insisting
