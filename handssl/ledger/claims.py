"""Claims with a lease, so that two drivers that want the same trial run it once.

A lease alone does not stop a process that was suspended for longer. So each claim is also checked
in every transaction in which its owner writes, and has a token in the trial's folder, which is
compared before each write there, see `handssl.runtime.fencing`.
"""

from __future__ import annotations

import hashlib
import math
import os
import socket
import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil
from sqlalchemy import Connection, delete, select, update

from handssl.errors import InputError, TakenOverError
from handssl.ledger.tables import claims
from handssl.runtime.database import Database
from handssl.runtime.fencing import Fence
from handssl.runtime.retry import patient

LEASE_S = 60.0
VARIABLE = "HANDSSL_LEASE"
_STUDY, _CHANGE = "study:", "claims"


def default_lease_s() -> float:
    """Return how long a claim holds without renewal: $HANDSSL_LEASE seconds, else 60.

    Raises:
        InputError: The variable is not a number of seconds of at least 1.
    """
    text = os.environ.get(VARIABLE) or str(LEASE_S)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 1 <= found < math.inf:
        raise InputError(f"${VARIABLE}: expected seconds, 1 or more, such as 60, got {text!r}")
    return found


def study_key(study: str) -> str:
    """Return the key that a driver claims to be the only one that runs a study.

    Example:
        >>> len(study_key("demo"))
        22
    """
    return _STUDY + hashlib.blake2b(study.encode(), digest_size=8).hexdigest()


class Claims:
    """Claims of owners on trials and studies, each until the end of its lease.

    A claim that is not renewed expires, so that the trials of a killed driver go to the next one.
    Time is that of the database, so that all owners see the same clock.

    Args:
        database: Database with the table of claims.
        owner: Owner of this process's claims; default: host, process and a random part.
        lease_s: How long a claim holds without renewal, seconds; default: `default_lease_s`.
        trials: Parent folder of the trials' folders, which get a token with each claim; None: no
            folders belong to these claims.
    """

    def __init__(
        self,
        database: Database,
        *,
        owner: str | None = None,
        lease_s: float | None = None,
        trials: Path | None = None,
    ) -> None:
        self._database, self.lease_s = database, lease_s or default_lease_s()
        self.owner = owner or f"{_here()}:{os.getpid()}:{_born(os.getpid())}:{uuid.uuid4().hex[:8]}"
        self._trials, self._fences = trials, dict[str, Fence | None]()

    def take(self, trial_ids: Sequence[str]) -> frozenset[str]:
        """Claim trials; return those that this owner holds now, the others are held elsewhere.

        Args:
            trial_ids: Ids of trials, or keys of studies (`study_key`).
        """
        if not trial_ids:
            return frozenset()
        return frozenset(name for name in self._take(list(trial_ids)) if self._fenced(name))

    @patient
    def _take(self, wanted: list[str]) -> frozenset[str]:
        with self._database.begin() as connection:
            self._database.alone(connection, _CHANGE)
            now_s = self._database.now_s(connection)
            until_s = now_s + self.lease_s
            rows = [{"trial_id": one, "owner": self.owner, "until_s": until_s} for one in wanted]
            self._database.add_all(connection, claims, rows)
            free = (claims.c.owner == self.owner) | (claims.c.until_s < now_s)
            these = self._database.among(claims.c.trial_id, wanted)
            change = update(claims).where(these, free)
            connection.execute(change.values(owner=self.owner, until_s=until_s))
            return self._mine(connection, wanted)

    def _fenced(self, name: str) -> bool:
        """Write a token into the folder of a claimed trial, unless another writer locks it."""
        fence = None
        if self._trials is not None and not name.startswith(_STUDY):
            fence = Fence(self._trials / name, f"{self.owner}:{uuid.uuid4().hex[:8]}")
            if not fence.take(lambda: self._is_mine(name)):
                self.release([name])
                return False
        self._fences[name] = fence
        return True

    def fence(self, trial_id: str) -> Fence | None:
        """Return the fence of the folder of a trial that this owner has claimed, else None."""
        return self._fences.get(trial_id)

    def require(self, connection: Connection, *trial_ids: str) -> None:
        """Ensure, until a transaction ends, that this owner still holds its claims.

        Args:
            connection: Connection in a transaction that writes.
            trial_ids: Trials written in the transaction; the study is always checked too.

        Raises:
            TakenOverError: Another owner has taken over the study or one of the trials.
        """
        claimed = tuple(self._fences)  # copied at once: other threads claim and release
        asked = [name for name in claimed if name in trial_ids or name.startswith(_STUDY)]
        if asked:
            self._database.alone(connection, _CHANGE, shared=True)
            self._require(connection, asked)

    @patient
    def require_now(self) -> None:
        """Raise TakenOverError if another owner has taken over the study."""
        asked = [name for name in tuple(self._fences) if name.startswith(_STUDY)]
        if asked:
            with self._database.begin(reading=True) as connection:
                self._require(connection, asked)

    def _require(self, connection: Connection, asked: list[str]) -> None:
        mine = self._mine(connection, asked)
        # A claim that was released meanwhile is not lost.
        lost = [name for name in asked if name not in mine and name in self._fences]
        if lost:
            what = "the study" if any(name.startswith(_STUDY) for name in lost) else min(lost)
            raise TakenOverError(
                f"another driver has taken {what} over, as this one did not renew its lease of "
                f"{self.lease_s:g} s in time"
            )

    @patient
    def _is_mine(self, name: str) -> bool:
        with self._database.begin(reading=True) as connection:
            return bool(self._mine(connection, [name]))

    def _mine(self, connection: Connection, names: Sequence[str]) -> frozenset[str]:
        these = self._database.among(claims.c.trial_id, names)
        return frozenset(
            connection.scalars(select(claims.c.trial_id).where(these, claims.c.owner == self.owner))
        )

    @patient
    def renew(self) -> frozenset[str]:
        """Renew every claim of this owner for another lease; return the trials.

        A missing trial was taken over by another owner because its lease had expired.
        """
        with self._database.begin() as connection:
            until_s = self._database.now_s(connection) + self.lease_s
            mine = claims.c.owner == self.owner
            connection.execute(update(claims).where(mine).values(until_s=until_s))
            return frozenset(connection.scalars(select(claims.c.trial_id).where(mine)))

    def release(self, trial_ids: Sequence[str] | None = None) -> None:
        """Release the given claims, by default all."""
        for name in tuple(self._fences) if trial_ids is None else trial_ids:
            self._fences.pop(name, None)
        self._release(trial_ids)

    @patient
    def _release(self, trial_ids: Sequence[str] | None) -> None:
        mine = claims.c.owner == self.owner
        if trial_ids is not None:
            mine &= self._database.among(claims.c.trial_id, trial_ids)
        with self._database.begin() as connection:
            connection.execute(delete(claims).where(mine))

    @patient
    def release_dead(self) -> None:
        """Release the claims of processes of this machine that have ended, before they expire."""
        gone = [owner for owner in set(self.holders().values()) if _is_gone(owner)]
        if gone:
            with self._database.begin() as connection:
                connection.execute(delete(claims).where(self._database.among(claims.c.owner, gone)))

    @patient
    def holders(self) -> dict[str, str]:
        """Return the owner of every trial that is claimed now, by trial id."""
        with self._database.begin(reading=True) as connection:
            held = claims.c.until_s >= self._database.now_s(connection)
            rows = connection.execute(select(claims.c.trial_id, claims.c.owner).where(held))
            return {row.trial_id: row.owner for row in rows}


def _here() -> str:
    """Return a name of this machine; containers may share a host's name, but not its processes."""
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
