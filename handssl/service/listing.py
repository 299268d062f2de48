"""What people see of the queue: pages of jobs, the place of each, its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, func, select

from handssl.service.job import Job, State
from handssl.service.queue import BRIEF, Queue
from handssl.service.tables import events, jobs, order

PAGE = 50


@dataclass(frozen=True)
class Moment:
    """A line of a job's history.

    Attributes:
        time_s: Unix time.
        state: Since then.
        attempt: At that time.
        message: What happened.
    """

    time_s: float
    state: State
    attempt: int
    message: str


@dataclass(frozen=True)
class Filter:
    """Which jobs.

    Attributes:
        states: One of these; none: any.
        user: Who submitted it; empty: anybody.
        queue: Where; empty: anywhere.
        study: Its name; empty: any.
    """

    states: tuple[State, ...] = ()
    user: str = ""
    queue: str = ""
    study: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what the rows have to satisfy."""
        named = ("user", "queue", "study")
        found = [jobs.c[name] == getattr(self, name) for name in named if getattr(self, name)]
        return [*found, *([jobs.c.state.in_(self.states)] if self.states else [])]


def page(
    queue: Queue, wanted: Filter | None = None, *, limit: int = PAGE, offset: int = 0
) -> tuple[list[Job], int]:
    """Return a page of jobs and how many there are: running, waiting in order, then the newest.

    Args:
        queue: Of the service.
        wanted: Which jobs.
        limit: Most of a page.
        offset: Jobs before it.
    """
    conditions = (wanted or Filter()).conditions()
    with queue.database.begin(reading=True) as connection:
        count = connection.scalar(select(func.count()).select_from(jobs).where(*conditions))
        states = connection.scalars(select(jobs.c.state).where(*conditions).distinct())
        left, start, found = limit, offset, list[Job]()
        for state in sorted(states, key=_SHOWN.index):
            query = select(*BRIEF).where(*conditions, jobs.c.state == state)
            newest = (jobs.c.submitted_s.desc(), jobs.c.id)
            query = query.order_by(*(order if state in ("running", "queued") else newest))
            rows = connection.execute(query.limit(left).offset(start)).mappings().all()
            found += [Job.of(row) for row in rows]
            before = select(func.count()).select_from(jobs).where(*conditions)
            total = connection.scalar(before.where(jobs.c.state == state)) or 0
            left, start = left - len(rows), max(0, start - total)
            if not left:
                break
    return placed(queue, found), int(count or 0)


_SHOWN: Sequence[State] = ("running", "queued", "paused", "failed", "cancelled", "succeeded")


def placed(queue: Queue, found: list[Job]) -> list[Job]:
    """Return the jobs with their place in their queue."""
    waiting = [job.id for job in found if job.state == "queued"]
    if not waiting:
        return found
    rank = func.row_number().over(partition_by=jobs.c.queue, order_by=order).label("place")
    ranked = select(jobs.c.id, rank).where(jobs.c.state == "queued").subquery()
    query = select(ranked.c.id, ranked.c.place).where(ranked.c.id.in_(waiting))
    with queue.database.begin(reading=True) as connection:
        places = dict(connection.execute(query).all())
    return [replace(job, position=places.get(job.id, 0)) for job in found]


def history(queue: Queue, name: str) -> list[Moment]:
    """Return what has happened to a job, in order.

    Raises:
        NoSuchJobError: There is none of this id.
    """
    queue.get(name)
    columns = (events.c.time_s, events.c.state, events.c.attempt, events.c.message)
    query = select(*columns).where(events.c.job == name).order_by(events.c.number)
    with queue.database.begin(reading=True) as connection:
        return [Moment(*row) for row in connection.execute(query)]
