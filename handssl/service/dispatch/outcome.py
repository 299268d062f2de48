"""Outcomes of attempts, and the resulting states of their jobs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import update

from handssl.runtime.secrets import masked
from handssl.service.queue.job import ENDED, Cause, Job, State
from handssl.service.queue.queue import Queue
from handssl.service.queue.tables import jobs

Ending = Literal["exited", "stopped", "lost"]
SERVICE_ENDS = "service"


@dataclass(frozen=True)
class Outcome:
    """Outcome of an attempt.

    Attributes:
        ending: `exited` by itself; `stopped` by the service; `lost` if it was killed or vanished.
        code: Exit code of the driver, None if unknown.
        reason: Why the service stopped it: the user's request, the limit it reached, or that the
            service ends; empty if none.
        message: Explanation for users.
        ran_s: Running time of its driver, seconds.
    """

    ending: Ending
    code: int | None = None
    reason: str = ""
    message: str = ""
    ran_s: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the outcome as a JSON document."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """Consequence of an outcome for the job.

    Attributes:
        state: New state of the job.
        cause: Cause of a failure; empty if none.
        message: Explanation for users.
        is_lost: Whether it counts as one of the losses that `retries` allows.
    """

    state: State
    cause: Cause = ""
    message: str = ""
    is_lost: bool = False


_BY_CODE: dict[int, Verdict] = {
    0: Verdict("succeeded"),
    1: Verdict("failed", "trials", "trials have failed; the log names them"),
    2: Verdict("failed", "input", "the study cannot be run; the log says why"),
    3: Verdict("failed", "input", "its data are not valid; the log says why"),
}
_LIMITS: dict[str, Cause] = {"time": "time", "budget": "budget"}


def verdict(outcome: Outcome, job: Job) -> Verdict:
    """Return the consequence for a job whose attempt has ended.

    Args:
        outcome: Outcome of the attempt.
        job: The job as it was when the attempt ended.

    Example:
        >>> verdict(Outcome("exited", 0), None).state
        'succeeded'
    """
    if outcome.ending == "exited" and outcome.code in _BY_CODE:
        return _BY_CODE[outcome.code]
    if outcome.reason in _LIMITS:
        return Verdict("failed", _LIMITS[outcome.reason], outcome.message)
    if outcome.reason == "paused":
        return Verdict("paused", message=outcome.message)
    if job.wanted:
        return Verdict("cancelled" if job.wanted == "cancel" else "paused")
    if outcome.reason == SERVICE_ENDS:
        return Verdict("queued", message=outcome.message)
    if job.lost >= job.retries:
        cause: Cause = "lost" if outcome.ending == "lost" else "driver"
        return Verdict("failed", cause, f"{outcome.message}, after {job.lost + 1} attempts")
    return Verdict("queued", message=f"{outcome.message}; queued again", is_lost=True)


def put_back(queue: Queue) -> None:
    """Queue again the jobs whose drivers ended with the service, without counting a loss.

    Args:
        queue: Queue of the service.
    """
    now_s = queue.now_s()
    for job in queue.running():
        ran_s = now_s - (job.started_s or now_s)
        said = "the service was stopped; the job continues when the service is back"
        finish(queue, job.id, job.attempt, Outcome("stopped", None, SERVICE_ENDS, said, ran_s))


def finish(queue: Queue, name: str, attempt: int, outcome: Outcome) -> Job:
    """Set a job's state after its attempt has ended; a second call changes nothing.

    Args:
        queue: Queue of the service.
        name: Id of the job.
        attempt: Number of the attempt that has ended.
        outcome: Outcome of the attempt.
    """
    with queue.database.begin() as connection:
        job = queue.load(connection, name, lock=True)
        if job.state != "running" or job.attempt != attempt:
            return job
        found = verdict(outcome, job)
        values: dict[str, Any] = {"state": found.state, "cause": found.cause}
        message = masked(found.message)
        values |= {"message": message}
        values |= {"wanted": "", "lost": job.lost + found.is_lost}
        values["used_s"] = job.used_s + outcome.ran_s
        if found.state in ENDED:
            values["ended_s"] = queue.database.now_s(connection)
        connection.execute(update(jobs).where(jobs.c.id == name).values(**values))
        queue.note(connection, name, found.state, attempt, message or found.state)
        return queue.load(connection, name)
