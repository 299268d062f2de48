"""The queue: every change of a job's state is one transaction, which also writes its history."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, update

from handssl.errors import InputError
from handssl.runtime.database import Database
from handssl.service.errors import NoSuchJobError, NotNowError, TakenNameError
from handssl.service.queue.job import ENDED, Job, JobRequest, State, key_of
from handssl.service.queue.tables import SCHEMA, events, jobs

if TYPE_CHECKING:
    from handssl.study.study import Study

_KEEPS_KEY: tuple[State, ...] = ("queued", "running", "paused", "succeeded")
_ASKED = ("cancel", "pause")  # requests to a running job, done when its attempt has ended
BRIEF = [column for column in jobs.c if column.name not in ("document", "key")]


class Queue:
    """Jobs in a database.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
        queues: Names of the queues that accept jobs.

    Example:
        >>> queue = Queue("sqlite://", queues=("default",))
        >>> request = JobRequest(study={"name": "x", "cells": [{"composition": []}]})
        >>> [(job, is_new)] = queue.submit([request], user="ada")
        >>> job.state, job.user, is_new
        ('queued', 'ada', True)
        >>> queue.cancel(job.id).state
        'cancelled'
    """

    def __init__(self, url: str, *, queues: Sequence[str] = ("default",)) -> None:
        self.database, self.queues = Database(url, SCHEMA), tuple(queues)

    def submit(self, requests: Sequence[JobRequest], *, user: str) -> list[tuple[Job, bool]]:
        """Queue jobs, all or none; for a study that has a job already, return that job.

        Args:
            requests: Requests to queue studies.
            user: Name of the user who submits them.

        Returns:
            Each job, and whether it is new.

        Raises:
            InputError: A study has mistakes, or there is no such queue.
            TakenNameError: A new study has the name of another user's study.
        """
        checked = [(request, self._checked(request)) for request in requests]
        with self.database.begin() as connection:
            self.database.alone(connection, "submit")
            now_s = self.database.now_s(connection)
            known = self._known(connection, [key_of(study, r.how) for r, study in checked])
            owners = self._owners(connection, [study.name for _, study in checked])
            found = []
            for number, (request, study) in enumerate(checked):
                key = key_of(study, request.how)
                is_new = request.again or key not in known
                if is_new:
                    if (owner := owners.get(study.name, user)) != user:
                        raise TakenNameError(study.name, owner, user)
                    # Distinct times, so that the jobs of one call keep their order.
                    row = _row(request, study, key, user, now_s + number * 1e-6)
                    known[key] = row["id"]
                found.append((known[key], row if is_new else None))
            self._insert(connection, [row for _, row in found if row])
            return [(self.load(connection, name), row is not None) for name, row in found]

    def get(self, name: str) -> Job:
        """Return a job.

        Raises:
            NoSuchJobError: There is no job with this id.
        """
        with self.database.begin(reading=True) as connection:
            return self.load(connection, name)

    def running(self) -> list[Job]:
        """Return the running jobs."""
        query = select(*BRIEF).where(jobs.c.state == "running")
        with self.database.begin(reading=True) as connection:
            return [Job.of(row) for row in connection.execute(query).mappings()]

    def document(self, name: str) -> Mapping[str, Any]:
        """Return `study` and `how` of a job, as they were submitted."""
        with self.database.begin(reading=True) as connection:
            found = connection.scalar(select(jobs.c.document).where(jobs.c.id == name))
        if found is None:
            raise NoSuchJobError(name)
        return dict(found)

    def cancel(self, name: str) -> Job:
        """Cancel a job; a running one ends after its epoch. Results of its trials are kept."""
        return self._ask(name, "cancel", {"queued": "cancelled", "paused": "cancelled"})

    def pause(self, name: str) -> Job:
        """Pause a job; a running one ends after its epoch and frees its place for others."""
        return self._ask(name, "pause", {"queued": "paused"})

    def resume(self, name: str) -> Job:
        """Queue a paused job again; its trials continue where they stopped."""
        return self._ask(name, "resume", {"paused": "queued"})

    def retry(self, name: str, **changes: Any) -> Job:
        """Queue a failed or cancelled job again; finished trials are not run again.

        Args:
            name: Id of the job.
            changes: New `time_limit_s` or `gpu_hours`, if the old limit has ended it.
        """
        return self._ask(name, "retry", {"failed": "queued", "cancelled": "queued"}, **changes)

    def reprioritise(self, name: str, priority: int) -> Job:
        """Change the priority of a job; jobs of equal priority keep the order of submission."""
        allowed: dict[State, State] = {one: one for one in ("queued", "paused", "running")}
        return self._ask(name, "reprioritise", allowed, priority=priority)

    def _ask(self, name: str, verb: str, moves: Mapping[State, State], **values: Any) -> Job:
        with self.database.begin() as connection:
            job = self.load(connection, name, lock=True)
            if job.state == "running" and verb in _ASKED:
                self._change(connection, name, wanted=verb)
                self.note(connection, name, job.state, job.attempt, f"asked to {verb}")
            elif job.state in moves:
                self._move(connection, job, moves[job.state], verb, values)
            elif job.state not in moves.values() or values:
                allowed = [*moves, *(["running"] if verb in _ASKED else [])]
                raise NotNowError(name, verb, job.state, allowed)
            return self.load(connection, name)

    def _move(
        self, connection: Connection, job: Job, state: State, verb: str, values: dict[str, Any]
    ) -> None:
        if verb == "retry":
            _require_room(job, values)
            values |= {"ended_s": None, "cause": "", "message": "", "lost": 0}
        if state in ENDED:
            values |= {"ended_s": self.database.now_s(connection)}
        self._change(connection, job.id, state=state, **values)
        priority = f" {values['priority']}" if "priority" in values else ""
        self.note(connection, job.id, state, job.attempt, verb + priority)

    def note(
        self, connection: Connection, name: str, state: State, attempt: int, message: str
    ) -> None:
        """Write a line of a job's history."""
        now_s = self.database.now_s(connection)
        row = {"job": name, "time_s": now_s, "state": state, "attempt": attempt}
        connection.execute(events.insert().values(**row, message=message))

    def _change(self, connection: Connection, name: str, **values: Any) -> None:
        connection.execute(update(jobs).where(jobs.c.id == name).values(**values))

    def load(self, connection: Connection, name: str, *, lock: bool = False) -> Job:
        """Return a job within a transaction; with a lock no other transaction can change it."""
        query = select(*BRIEF).where(jobs.c.id == name)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise NoSuchJobError(name)
        return Job.of(row)

    def _known(self, connection: Connection, keys: Sequence[str]) -> dict[str, str]:
        query = select(jobs.c.key, jobs.c.id).where(
            self.database.among(jobs.c.key, keys), jobs.c.state.in_(_KEEPS_KEY)
        )
        return dict(connection.execute(query.order_by(jobs.c.submitted_s)).all())

    def _owners(self, connection: Connection, names: Sequence[str]) -> dict[str, str]:
        """Return the user who first submitted a study of each name, in any state."""
        query = select(jobs.c.study, jobs.c.user).where(jobs.c.study.in_(names))
        newest_first = query.order_by(jobs.c.submitted_s.desc(), jobs.c.id.desc())
        return dict(connection.execute(newest_first).all())

    def _insert(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            connection.execute(jobs.insert(), list(rows))
            new = {"state": "queued", "attempt": 0, "message": "submitted"}
            told = [{"job": row["id"], "time_s": row["submitted_s"], **new} for row in rows]
            connection.execute(events.insert(), told)

    def _checked(self, request: JobRequest) -> Study:
        if request.queue not in self.queues:
            raise InputError(
                f"queue: expected one of {', '.join(self.queues)}, got {request.queue!r}"
            )
        return request.checked()

    def now_s(self) -> float:
        """Return the time by the database's clock."""
        with self.database.begin(reading=True) as connection:
            return self.database.now_s(connection)

    def depth(self) -> dict[tuple[str, State], int]:
        """Return the number of jobs of each queue and state."""
        query = select(jobs.c.queue, jobs.c.state, func.count()).group_by(
            jobs.c.queue, jobs.c.state
        )
        with self.database.begin(reading=True) as connection:
            return {(queue, state): count for queue, state, count in connection.execute(query)}

    def unserved(self, depth: Mapping[tuple[str, State], int]) -> dict[str, int]:
        """Return the number of jobs waiting in queues that this service does not serve.

        Args:
            depth: Result of `depth`.
        """
        waiting = {name: n for (name, state), n in depth.items() if state == "queued"}
        return {name: n for name, n in sorted(waiting.items()) if name not in self.queues}


def _require_room(job: Job, changes: Mapping[str, Any]) -> None:
    """Refuse to retry a job that a limit would end at once.

    It may have run for longer than its limit, as its last epoch is not cut off.

    Raises:
        InputError: A limit that it has reached was not raised.
    """
    limits = (
        ("time", "time_limit_s", "--time-limit", job.used_s),
        ("budget", "gpu_hours", "--gpu-hours", 0.0),
    )
    for cause, name, flag, used in limits:
        old = getattr(job, name)
        met = max(used, old) if old and job.cause == cause else used
        if (limit := changes.get(name, old)) is not None and limit <= met:
            raise InputError(
                f"job {job.id} has reached its limit, {flag} {met:g}: expected a larger one, got "
                f"{limit:g}; `handssl jobs retry {job.id} {flag} {2 * met:g}` continues it"
            )


def _row(
    request: JobRequest, study: Study, key: str, user: str, submitted_s: float
) -> dict[str, Any]:
    asked = request.model_dump(mode="json", exclude={"study", "how", "again"})
    document = {"study": request.study, "how": request.how.model_dump(mode="json")}
    return asked | {
        "id": "j" + uuid.uuid4().hex[:11],
        "user": user,
        "study": study.name,
        "key": key,
        "document": document,
        "state": "queued",
        "submitted_s": submitted_s,
    }
