"""A job: a study in the queue, its options, and its state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from handssl.config import Config

if TYPE_CHECKING:
    from handssl.study.study import Study

State = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")
Cause = Literal["", "trials", "input", "lost", "time", "budget", "driver"]

QUEUE_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
QueueName = Annotated[str, StringConstraints(pattern=QUEUE_NAME)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class JobOptions(Config):
    """Execution options of a job's trials; see `handssl.ExecutionOptions`.

    Attributes:
        workers: Number of Ray Train workers of each trial.
        max_concurrent_trials: Maximum number of trials at the same time; None: as many as fit.
        trials_per_gpu: Number of trials that share a GPU; None: as many as the memory of the
            study's largest training step allows.
        retries: How often a trial whose process was lost is started again.
        hang_timeout_s: Seconds without a finished epoch after which a trial is killed and retried.
        checkpoint_bytes: Limit on the checkpoints of all trials together, bytes; None: no limit.
    """

    workers: Count = 1
    max_concurrent_trials: Count | None = None
    trials_per_gpu: Annotated[int, Field(ge=1, le=64)] | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    hang_timeout_s: Annotated[float, Field(gt=0, le=1e7)] = 3600.0
    checkpoint_bytes: Annotated[int, Field(ge=1, le=10**16)] | None = None


class JobRequest(Config):
    """Request to queue a study.

    Attributes:
        study: The study as plain data.
        queue: Name of the queue.
        priority: Higher goes first; equal priorities in order of submission.
        retries: How often the job is started again after its driver or the cluster was lost.
        time_limit_s: Limit on the running time of all attempts together, seconds; None: no limit.
        gpu_hours: Limit on the GPU hours of its trials, or core hours without GPUs; None: no limit.
        again: Queue it even if there is a job of the same study.
        how: Execution options of its trials.

    Example:
        >>> JobRequest(study={"name": "x", "cells": [{"composition": []}]}).priority
        0
    """

    study: dict[str, Any]
    queue: QueueName = "default"
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    time_limit_s: Annotated[float, Field(gt=0, le=1e8)] | None = None
    gpu_hours: Annotated[float, Field(gt=0, le=1e7)] | None = None
    again: bool = False
    how: JobOptions = JobOptions()

    def checked(self) -> Study:
        """Return the study.

        Raises:
            InputError: It has mistakes; all are listed.
        """
        from handssl.study.study import Study  # imports torch, which viewing a queue does not need

        return Study.parse(self.study)


def key_of(study: Study, how: JobOptions) -> str:
    """Return a digest that is equal for two jobs that would compute the same.

    Args:
        study: Study of the job; the order of keys in its file does not matter.
        how: Execution options of its trials.
    """
    document = [study.model_dump(mode="json"), how.model_dump(mode="json")]
    text = json.dumps(document, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Job:
    """State of a job. Times are Unix seconds.

    Attributes:
        id: Id of the job, the same for all attempts.
        queue: Name of its queue.
        user: Name of the user who submitted it.
        study: Name of its study.
        priority: Priority; higher goes first.
        state: One of `STATES`; the last three are final, unless it is retried.
        wanted: Pending request to a running job: `cancel`, `pause`, or empty.
        attempt: Number of starts so far.
        lost: How often its driver or cluster was lost.
        retries: How often that may happen.
        time_limit_s: Limit on the running time of all attempts, seconds; None: no limit.
        gpu_hours: Limit on the GPU or core hours of its trials; None: no limit.
        submitted_s: Time of submission.
        started_s: Start of the last attempt; None before the first.
        ended_s: Time at which it reached a final state; None before.
        used_s: Running time of ended attempts, seconds.
        cause: Cause of a failure; empty if none.
        message: Explanation for users.
        position: Position in the queue, from 1; 0 if not queued.
    """

    id: str
    queue: str
    user: str
    study: str
    priority: int
    state: State
    wanted: str
    attempt: int
    lost: int
    retries: int
    time_limit_s: float | None
    gpu_hours: float | None
    submitted_s: float
    started_s: float | None
    ended_s: float | None
    used_s: float
    cause: Cause
    message: str
    position: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the job of a row of the table."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__ if name in row})

    @property
    def submission(self) -> str:
        """Id of the attempt in Ray, which refuses a second job with the same id."""
        return submission_id(self.id, self.attempt)

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED

    def running_s(self, now_s: float) -> float:
        """Return its running time over all attempts, seconds."""
        return self.used_s + (now_s - (self.started_s or now_s) if self.state == "running" else 0)


def submission_id(job: str, attempt: int) -> str:
    """Return the id of an attempt in Ray.

    Example:
        >>> submission_id("j1", 2)
        'handssl-j1-2'
    """
    return f"handssl-{job}-{attempt}"
