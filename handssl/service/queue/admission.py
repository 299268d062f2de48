"""Choice of the next job to start, within limits, so that each is started once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, select, update

from handssl.runtime.database import Database, about
from handssl.service.errors import LostLeaseError
from handssl.service.queue.job import Job
from handssl.service.queue.lease import Lease
from handssl.service.queue.queue import BRIEF, Queue
from handssl.service.queue.tables import jobs, order

Start = Callable[[Connection, Job], None]


@dataclass(frozen=True)
class Limits:
    """Limits on jobs that run at the same time.

    Attributes:
        queues: Maximum number of running jobs of each queue, by its name.
        per_user: Maximum number of running jobs of one user in all queues; None: any number.
    """

    queues: Mapping[str, int] = field(default_factory=lambda: {"default": 1})
    per_user: int | None = None


@dataclass
class _Capacity:
    """Running jobs by queue, user and study, updated as jobs are admitted."""

    limits: Limits
    queues: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    studies: set[str] = field(default_factory=set)

    def add(self, row: Mapping[str, Any]) -> None:
        self.queues[row["queue"]] += 1
        self.users[row["user"]] += 1
        self.studies.add(row["study"])

    def open_queues(self) -> list[str]:
        return [name for name, most in self.limits.queues.items() if self.queues[name] < most]

    def full_users(self) -> list[str]:
        most = self.limits.per_user
        return [name for name, count in self.users.items() if most and count >= most]


def admit(queue: Queue, lease: Lease, limits: Limits, start: Start) -> list[Job]:
    """Take the next jobs out of the queue, as many as the limits allow.

    The highest priority goes first, for all users; a job whose user or queue is at its limit is
    skipped, and so is one whose study is being run by another job: two drivers of one study would
    only block each other.

    Args:
        queue: Queue of the service.
        lease: Lease of the dispatcher, which must be held.
        limits: Limits on jobs that run at the same time.
        start: Called with each job in the transaction that takes it out: its writes to the
            database are committed if and only if the job has left the queue.

    Returns:
        The admitted jobs, now running.

    Raises:
        LostLeaseError: Another service dispatches.
    """
    with queue.database.begin() as connection:
        if not lease.holds(connection):
            raise LostLeaseError("another service dispatches now")
        room = _Capacity(limits)
        taken = select(jobs.c.queue, jobs.c.user, jobs.c.study).where(jobs.c.state == "running")
        for row in connection.execute(taken).mappings():
            room.add(row)
        admitted = []
        while row := _next(connection, room):
            room.add(row)
            admitted.append(_started(queue, connection, Job.of(row)))
            start(connection, admitted[-1])
        return admitted


def _next(connection: Connection, room: _Capacity) -> Mapping[str, Any] | None:
    open_queues = room.open_queues()
    if not open_queues:
        return None
    query = select(*BRIEF).where(
        jobs.c.state == "queued",
        jobs.c.queue.in_(open_queues),
        jobs.c.user.not_in(room.full_users()),
        jobs.c.study.not_in(sorted(room.studies)),
    )
    rows = connection.execute(query.order_by(*order).limit(1).with_for_update())
    found: Mapping[str, Any] | None = rows.mappings().first()
    return found


def _started(queue: Queue, connection: Connection, job: Job) -> Job:
    values = {"state": "running", "attempt": job.attempt + 1, "wanted": ""}
    values["started_s"] = queue.database.now_s(connection)
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
    queue.note(connection, job.id, "running", job.attempt + 1, "started")
    return queue.load(connection, job.id)


_DRAINING = "service draining"


def is_draining(database: Database) -> bool:
    """Return whether the queue is draining, i.e. no jobs are started."""
    with database.begin(reading=True) as connection:
        return bool(connection.scalar(select(about.c.value).where(about.c.key == _DRAINING)))


def set_draining(database: Database, on: bool) -> None:
    """Stop starting jobs, or start them again.

    Args:
        database: Database of the queue.
        on: True to start no more jobs, False to start them again.
    """
    with database.begin() as connection:
        if on:
            database.add(connection, about, {"key": _DRAINING, "value": "yes"})
        else:
            connection.execute(delete(about).where(about.c.key == _DRAINING))
