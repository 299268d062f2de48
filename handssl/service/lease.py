"""One service at a time dispatches: the one that holds the lease."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, delete, select, update

from handssl.errors import DataError
from handssl.service.tables import leases
from handssl.tracking.ledger.database import Database

LEASE_S = 15.0
_STILL_S = 2.0  # a busy machine may take as long between two statements
_NAME = "dispatcher"


class Lease:
    """The right to dispatch, which ends by itself where it is not renewed.

    Time is that of the database. Whoever stood still for longer than the lease finds out before
    it does anything, because what it does is in one transaction with `holds`.

    Args:
        database: Of the queue.
        lease_s: A stand-by takes over at most so long after the holder has died.
        holder: Of this process; default: host, process and a random part.
    """

    def __init__(
        self, database: Database, *, lease_s: float = LEASE_S, holder: str | None = None
    ) -> None:
        self._database, self.lease_s = database, lease_s
        self.me = holder or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def take(self) -> bool:
        """Take the lease if nobody has it, or renew it; say whether it is held now."""
        with self._database.begin() as connection:
            now_s = self._database.now_s(connection)
            row = {"name": _NAME, "holder": self.me, "until_s": now_s + self.lease_s}
            if self._database.add(connection, leases, row):
                return True
            free = (leases.c.holder == self.me) | (leases.c.until_s < now_s)
            change = update(leases).where(leases.c.name == _NAME, free).values(row)
            return bool(connection.execute(change).rowcount)

    def holds(self, connection: Connection) -> bool:
        """Say whether the lease is held, until the transaction ends."""
        # Or one that stands still would keep everybody from taking it over.
        self._database.ends_when_idle(connection, max(self.lease_s, _STILL_S))
        now_s = self._database.now_s(connection)
        mine = (leases.c.name == _NAME, leases.c.holder == self.me, leases.c.until_s >= now_s)
        # An update, so that nobody can take it over before the transaction has ended.
        change = update(leases).where(*mine).values(until_s=now_s + self.lease_s)
        return bool(connection.execute(change).rowcount)

    def release(self) -> None:
        """Let go of it: a stand-by takes over at once."""
        with self._database.begin() as connection:
            connection.execute(delete(leases).where(leases.c.holder == self.me))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew it for as long as the block takes, and let go of it then."""
        over = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(over,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            over.set()
            renewing.join()
            with suppress(DataError):  # it ends by itself
                self.release()

    def _renew(self, over: threading.Event) -> None:
        while not over.wait(self.lease_s / 3):
            with suppress(DataError):
                self.take()

    def holder(self) -> str:
        """Return who dispatches, empty if nobody does."""
        with self._database.begin(reading=True) as connection:
            alive = leases.c.until_s >= self._database.now_s(connection)
            found = select(leases.c.holder).where(leases.c.name == _NAME, alive)
            return str(connection.scalar(found) or "")
