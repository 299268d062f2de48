"""HTTP connections with time limits for the client's requests."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
BODY_S = 60.0


class Connection(H11Protocol):
    """HTTP/1.1 connection of uvicorn that is closed if a request remains incomplete.

    The head must arrive within `HEAD_S` seconds after the connection was made or the last response
    was sent, the body within `BODY_S` seconds after its head. The time for a response is not
    limited.
    """

    def __init__(self, *arguments: Any, **rest: Any) -> None:
        super().__init__(*arguments, **rest)
        self.waits_since_s: float | None = None
        self._expects: object = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._check()

    def data_received(self, data: bytes) -> None:
        """Receive data, and restart the timer if the next part of a request is expected."""
        super().data_received(data)
        self._check()

    def on_response_complete(self) -> None:
        """Start the timer for the next request."""
        super().on_response_complete()
        self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection at once; unsent data are dropped."""
        self._stop()
        self.transport.abort()

    def _check(self) -> None:
        """Restart the timer if a different part of a request is expected than before."""
        expects = self.conn.their_state
        if expects is self._expects:
            return
        self._stop()
        self._expects = expects
        limits = {h11.IDLE: HEAD_S, h11.SEND_BODY: BODY_S, h11.ERROR: HEAD_S}
        if (limit_s := limits.get(expects)) is not None:
            self.waits_since_s = self.loop.time()
            self._timer = self.loop.call_later(limit_s, self._close_late, limit_s)

    def _close_late(self, limit_s: float) -> None:
        self.logger.warning("A connection was closed: no complete request within %g s", limit_s)
        self.abort()

    def _stop(self) -> None:
        self.waits_since_s = self._expects = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
