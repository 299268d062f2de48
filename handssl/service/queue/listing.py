"""Views of the queue: pages of jobs, the position of each, its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from handssl.service.queue.job import Job, State
from handssl.service.queue.queue import BRIEF, Queue
from handssl.service.queue.tables import events, jobs, order

PAGE = 50


@dataclass(frozen=True)
class Moment:
    """A line of a job's history.

    Attributes:
        time_s: Unix time of the event, seconds.
        state: State of the job since then.
        attempt: Number of the attempt at that time.
        message: Description of the event.
    """

    time_s: float
    state: State
    attempt: int
    message: str


@dataclass(frozen=True)
class Filter:
    """Filter of jobs.

    Attributes:
        states: Allowed states; empty: any.
        user: Name of the user who submitted it; empty: any.
        queue: Name of the queue; empty: any.
        study: Name of the study; empty: any.
    """

    states: tuple[State, ...] = ()
    user: str = ""
    queue: str = ""
    study: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the SQL conditions of the filter."""
        named = ("user", "queue", "study")
        found = [jobs.c[name] == getattr(self, name) for name in named if getattr(self, name)]
        return [*found, *([jobs.c.state.in_(self.states)] if self.states else [])]


def page(
    queue: Queue, wanted: Filter | None = None, *, limit: int = PAGE, offset: int = 0
) -> tuple[list[Job], int]:
    """Return a page of jobs and their total: running, waiting in order, then the newest.

    Args:
        queue: Queue of the service.
        wanted: Filter of the jobs; None: all.
        limit: Maximum number of jobs on the page.
        offset: Number of jobs before the page.
    """
    conditions = (wanted or Filter()).conditions()
    by_state = select(jobs.c.state, func.count()).where(*conditions).group_by(jobs.c.state)
    with queue.database.begin(reading=True) as connection:
        counts = dict(connection.execute(by_state).all())
        start, found = offset, list[Job]()
        for state in sorted(counts, key=_SHOWN.index):
            if len(found) < limit and start < counts[state]:
                query = select(*BRIEF).where(*conditions, jobs.c.state == state)
                query = query.order_by(*(order if state in ("running", "queued") else _NEWEST))
                rows = connection.execute(query.limit(limit - len(found)).offset(start))
                found += [Job.of(row) for row in rows.mappings()]
            start = max(0, start - counts[state])
    return placed(queue, found), sum(counts.values())


_SHOWN: Sequence[State] = ("running", "queued", "paused", "failed", "cancelled", "succeeded")
_NEWEST = (jobs.c.submitted_s.desc(), jobs.c.id)


def placed(queue: Queue, found: list[Job]) -> list[Job]:
    """Return the jobs with their positions in their queues."""
    lines: dict[str, list[Job]] = {}
    for job in found:
        if job.state == "queued":
            lines.setdefault(job.queue, []).append(job)
    places: dict[str, int] = {}
    with queue.database.begin(reading=True) as connection:
        for line in lines.values():
            places |= _places(connection, sorted(line, key=_turn))
    return [replace(job, position=places.get(job.id, 0)) for job in found]


def _places(connection: Connection, line: list[Job]) -> dict[str, int]:
    """Number the jobs from the first to the last of a line; those ahead of it are only counted."""
    first, last = line[0], line[-1]
    waiting = (jobs.c.state == "queued", jobs.c.queue == first.queue)
    ahead = select(func.count()).select_from(jobs).where(*waiting, _is_before(first))
    up_to = or_(_is_before(last), jobs.c.id == last.id)
    query = select(jobs.c.id).where(*waiting, not_(_is_before(first)), up_to).order_by(*order)
    start = (connection.scalar(ahead) or 0) + 1
    return {name: place for place, name in enumerate(connection.scalars(query), start)}


def _turn(job: Job) -> tuple[int, float, str]:
    return -job.priority, job.submitted_s, job.id  # the same as `order`


def _is_before(job: Job) -> ColumnElement[bool]:
    same = and_(jobs.c.submitted_s == job.submitted_s, jobs.c.id < job.id)
    earlier = or_(jobs.c.submitted_s < job.submitted_s, same)
    return or_(jobs.c.priority > job.priority, and_(jobs.c.priority == job.priority, earlier))


def history(queue: Queue, name: str) -> list[Moment]:
    """Return the history of a job, in order.

    Raises:
        NoSuchJobError: There is no job with this id.
    """
    queue.get(name)
    columns = (events.c.time_s, events.c.state, events.c.attempt, events.c.message)
    query = select(*columns).where(events.c.job == name).order_by(events.c.number)
    with queue.database.begin(reading=True) as connection:
        return [Moment(*row) for row in connection.execute(query)]
