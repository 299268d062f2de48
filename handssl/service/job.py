"""A job: a study handed to the queue, what may be asked for it, and how it stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from handssl.config import Config

if TYPE_CHECKING:
    from handssl.sweep.study import Study

State = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")
Cause = Literal["", "trials", "input", "lost", "time", "budget", "driver"]

QUEUE_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
QueueName = Annotated[str, StringConstraints(pattern=QUEUE_NAME)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class How(Config):
    """What the trials of a job are given; see `handssl.Running`.

    Attributes:
        workers: Ray Train workers of each trial.
        at_once: Trials at the same time; None: as many as fit.
        trials_per_gpu: Trials that share a GPU; None: as many as the study's largest step lets.
        retries: How often a trial whose process was lost is given to another.
        silence_s: A trial that ends no epoch for as long is ended and tried again.
        checkpoint_bytes: What checkpoints of all trials may take together.
    """

    workers: Count = 1
    at_once: Count | None = None
    trials_per_gpu: Annotated[int, Field(ge=1, le=64)] | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    silence_s: Annotated[float, Field(gt=0, le=1e7)] = 3600.0
    checkpoint_bytes: Annotated[int, Field(ge=1, le=10**16)] | None = None


class JobRequest(Config):
    """What is asked of the queue.

    Attributes:
        study: As data.
        queue: Which one.
        priority: Higher goes first; equal ones in the order in which they came.
        retries: How often the job is started again after its driver or the cluster was lost.
        time_limit_s: Running time of all attempts together; None: any.
        gpu_hours: What its trials may use, of GPUs or, where there are none, of cores.
        again: Queue it although the same study is there.
        how: What its trials are given.

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
    how: How = How()

    def checked(self) -> Study:
        """Return the study.

        Raises:
            InputError: It has mistakes; all are listed.
        """
        from handssl.sweep.study import Study  # with torch, which looking at a queue needs not

        return Study.parse(self.study)


def key_of(study: Study, how: How) -> str:
    """Return what two jobs share that would compute the same.

    Args:
        study: Of the job; the order of keys in its file does not matter.
        how: What its trials are given.
    """
    document = [study.model_dump(mode="json"), how.model_dump(mode="json")]
    text = json.dumps(document, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Job:
    """How a job stands.

    Attributes:
        id: Ours, the same through all attempts.
        queue: Where it waits.
        user: Who submitted it.
        study: Its name.
        priority: Higher goes first.
        state: One of `STATES`; the last three are final, unless it is retried.
        wanted: What a running job was asked: `cancel`, `pause`, or nothing.
        attempt: How often it was started.
        lost: How often its driver or cluster was lost.
        retries: How often that may happen.
        time_limit_s: Running time of all attempts.
        gpu_hours: What its trials may use.
        submitted_s: Unix time.
        started_s: Of the last attempt.
        ended_s: When it came to a final state.
        used_s: Running time of attempts that are over.
        cause: Why it failed.
        message: The same for people.
        position: In the queue, from 1; 0 elsewhere.
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
        """Id of the attempt in Ray, which refuses to start two of the same."""
        return submission_id(self.id, self.attempt)

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED

    def running_s(self, now_s: float) -> float:
        """Return its running time, of all attempts."""
        return self.used_s + (now_s - (self.started_s or now_s) if self.state == "running" else 0)


def submission_id(job: str, attempt: int) -> str:
    """Return the id of an attempt in Ray.

    Example:
        >>> submission_id("j1", 2)
        'handssl-j1-2'
    """
    return f"handssl-{job}-{attempt}"
