"""The dispatcher's lease: only the service that holds it dispatches."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, delete, select, update

from handssl.errors import DataError
from handssl.runtime.database import Database
from handssl.service.queue.tables import leases

LEASE_S = 15.0
_STILL_S = 2.0  # possible pause between two statements on a busy machine
_NAME = "dispatcher"


class Lease:
    """The right to dispatch, which expires if it is not renewed.

    Time is that of the database. A process suspended for longer than the lease finds out before it
    does anything, as all it does is in one transaction with `holds`.

    Args:
        database: Database of the queue.
        lease_s: Duration of the lease, seconds: a standby takes over at most this long after the
            holder has failed.
        holder: Name of this process; default: host, process and a random part.
    """

    def __init__(
        self, database: Database, *, lease_s: float = LEASE_S, holder: str | None = None
    ) -> None:
        self._database, self.lease_s = database, lease_s
        self.me = holder or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def take(self) -> bool:
        """Take the lease if it is free, or renew it; return whether it is held now."""
        with self._database.begin() as connection:
            now_s = self._database.now_s(connection)
            row = {"name": _NAME, "holder": self.me, "until_s": now_s + self.lease_s}
            if self._database.add(connection, leases, row):
                return True
            free = (leases.c.holder == self.me) | (leases.c.until_s < now_s)
            change = update(leases).where(leases.c.name == _NAME, free).values(row)
            return bool(connection.execute(change).rowcount)

    def holds(self, connection: Connection) -> bool:
        """Return whether the lease is held; if so, it stays held until the transaction ends."""
        # Otherwise a suspended process would prevent others from taking it over.
        self._database.ends_when_idle(connection, max(self.lease_s, _STILL_S))
        now_s = self._database.now_s(connection)
        mine = (leases.c.name == _NAME, leases.c.holder == self.me, leases.c.until_s >= now_s)
        # An update, so that no other process can take it over before the transaction has ended.
        change = update(leases).where(*mine).values(until_s=now_s + self.lease_s)
        return bool(connection.execute(change).rowcount)

    def release(self) -> None:
        """Release the lease, so that a standby takes over at once."""
        with self._database.begin() as connection:
            connection.execute(delete(leases).where(leases.c.holder == self.me))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease during the block, and release it afterwards."""
        over = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(over,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            over.set()
            renewing.join()
            with suppress(DataError):  # it expires by itself
                self.release()

    def _renew(self, over: threading.Event) -> None:
        while not over.wait(self.lease_s / 3):
            with suppress(DataError):
                self.take()

    def holder(self) -> str:
        """Return the process that dispatches, empty if there is none."""
        with self._database.begin(reading=True) as connection:
            alive = leases.c.until_s >= self._database.now_s(connection)
            found = select(leases.c.holder).where(leases.c.name == _NAME, alive)
            return str(connection.scalar(found) or "")
