"""The web server: uvicorn, with limits on the time and number of connections."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from types import FrameType

import uvicorn

from handssl.service.dispatch.log_rate_limit import Seldom
from handssl.service.web.connection import Connection

_RETRY_S = 1.0
_LOOK_S = 0.05
_UNREAD_MS = 30_000
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger("uvicorn.error")


class WebServer(uvicorn.Server):
    """Web server with a maximum number of connections.

    If there is one too many, the one that has waited longest for its request is closed. If all are
    being served, further clients wait until one of them is done.

    Args:
        config: Configuration of uvicorn; its protocol is ignored, `Connection` is used.
        most: Maximum number of connections at the same time.
    """

    def __init__(self, config: uvicorn.Config, most: int) -> None:
        super().__init__(config)
        self._most = most
        self._accepting: list[asyncio.Task[None]] = []
        for name in ("uvicorn.error", "asyncio"):  # any client can cause these repeatedly
            logging.getLogger(name).addFilter(Seldom())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down gracefully, also after a second Ctrl-C."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections one by one; asyncio would accept all waiting ones at once."""
        await super().startup([])
        self._accepting = [asyncio.create_task(self._accept(one)) for one in sockets or []]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and let requests in progress end."""
        for task in self._accepting:
            task.cancel()
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor is left, or the client has disconnected
                if error.errno in _EXHAUSTED:
                    _log.error("No connection can be accepted: %s", error.strerror)
                    await asyncio.sleep(_RETRY_S)
                continue
            await self._connect(connection)
            await self._make_room()

    async def _connect(self, connection: socket.socket) -> None:
        try:
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # for clients that do not read the answer
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client has disconnected
            connection.close()

    def _protocol(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    async def _make_room(self) -> None:
        while len(self.server_state.connections) > self._most:
            waiting = [one for one in self._connections() if one.waits_since_s is not None]
            if waiting:
                _log.warning("A connection was closed: there are more than %d", self._most)
                min(waiting, key=lambda one: one.waits_since_s or 0.0).abort()
            await asyncio.sleep(0 if waiting else _LOOK_S)

    def _connections(self) -> list[Connection]:
        return [one for one in self.server_state.connections if isinstance(one, Connection)]
