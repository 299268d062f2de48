"""Claims with a lease: two drivers that want the same trial at once run it once."""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil
from sqlalchemy import delete, select, update

from handssl.tracking.ledger.database import Database
from handssl.tracking.ledger.patience import patient
from handssl.tracking.ledger.tables import claims

LEASE_S = 60.0


def study_key(study: str) -> str:
    """Return what a driver claims to be the only one who runs a study.

    Example:
        >>> len(study_key("demo"))
        22
    """
    return "study:" + hashlib.blake2b(study.encode(), digest_size=8).hexdigest()


class Claims:
    """Who works on which trial, until when.

    A claim that is not renewed ends by itself, so that the trials of a driver that was killed go
    to the next. Time is that of the database, where all who claim see the same clock.

    Args:
        database: Of the ledger.
        owner: Of this process's claims; default: host, process and a random part.
        lease_s: How long a claim holds without being renewed.
    """

    def __init__(
        self, database: Database, *, owner: str | None = None, lease_s: float = LEASE_S
    ) -> None:
        self._database, self.lease_s = database, lease_s
        self.owner = owner or f"{_here()}:{os.getpid()}:{_born(os.getpid())}:{uuid.uuid4().hex[:8]}"

    @patient
    def take(self, trial_ids: Sequence[str]) -> frozenset[str]:
        """Claim trials; return those that are this owner's now, the others being held by another.

        Args:
            trial_ids: Which.
        """
        wanted = list(trial_ids)
        if not wanted:
            return frozenset()
        with self._database.begin() as connection:
            now_s = self._database.now_s(connection)
            until_s = now_s + self.lease_s
            rows = [{"trial_id": one, "owner": self.owner, "until_s": until_s} for one in wanted]
            self._database.add_all(connection, claims, rows)
            free = (claims.c.owner == self.owner) | (claims.c.until_s < now_s)
            these = self._database.among(claims.c.trial_id, wanted)
            change = update(claims).where(these, free)
            connection.execute(change.values(owner=self.owner, until_s=until_s))
            mine = select(claims.c.trial_id).where(these, claims.c.owner == self.owner)
            return frozenset(connection.scalars(mine))

    @patient
    def renew(self) -> frozenset[str]:
        """Hold every claim of this owner for another lease; return the trials.

        One that is missing was taken over by another, because this owner was silent too long.
        """
        with self._database.begin() as connection:
            until_s = self._database.now_s(connection) + self.lease_s
            mine = claims.c.owner == self.owner
            connection.execute(update(claims).where(mine).values(until_s=until_s))
            return frozenset(connection.scalars(select(claims.c.trial_id).where(mine)))

    @patient
    def release(self, trial_ids: Sequence[str] | None = None) -> None:
        """Let go of trials, or of all."""
        mine = claims.c.owner == self.owner
        if trial_ids is not None:
            mine &= self._database.among(claims.c.trial_id, trial_ids)
        with self._database.begin() as connection:
            connection.execute(delete(claims).where(mine))

    @patient
    def release_dead(self) -> None:
        """End the claims of processes of this machine that are gone: nobody waits for a lease."""
        gone = [owner for owner in set(self.holders().values()) if _is_gone(owner)]
        if gone:
            with self._database.begin() as connection:
                connection.execute(delete(claims).where(self._database.among(claims.c.owner, gone)))

    @patient
    def holders(self) -> dict[str, str]:
        """Return the owner of every trial that is held now."""
        with self._database.begin(reading=True) as connection:
            held = claims.c.until_s >= self._database.now_s(connection)
            rows = connection.execute(select(claims.c.trial_id, claims.c.owner).where(held))
            return {row.trial_id: row.owner for row in rows}


def _here() -> str:
    """Name this machine; containers may share a host's name, but not its processes."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"


def _born(pid: int) -> int:
    return int(psutil.Process(pid).create_time())


def _is_gone(owner: str) -> bool:
    where, _, rest = owner.partition(":")
    pid, _, rest = rest.partition(":")
    born = rest.partition(":")[0]
    if where != _here() or not (pid.isdecimal() and born.isdecimal()):
        return False
    try:
        return abs(_born(int(pid)) - int(born)) > 2
    except psutil.Error:
        return True
