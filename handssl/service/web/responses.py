"""Response models of the HTTP API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from handssl.service.dispatch.progress import Progress
from handssl.service.queue.job import Job
from handssl.service.queue.listing import Moment


class JobView(BaseModel):
    """State of a job. Times are Unix seconds."""

    id: str
    queue: str
    user: str
    study: str
    priority: int
    state: str
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
    cause: str
    message: str
    position: int
    is_new: bool | None = None

    @classmethod
    def of(cls, job: Job, *, is_new: bool | None = None) -> JobView:
        """Return the view of a job."""
        fields = {name: getattr(job, name) for name in job.__dataclass_fields__}
        return cls(**fields, is_new=is_new)


class PageView(BaseModel):
    """A page of jobs: running, waiting in order, then the newest of the others."""

    jobs: list[JobView]
    total: int
    limit: int
    offset: int


class MomentView(BaseModel):
    """A line of a job's history."""

    time_s: float
    state: str
    attempt: int
    message: str

    @classmethod
    def of(cls, moment: Moment) -> MomentView:
        """Return the view of a line."""
        return cls(**vars(moment))


class ProgressView(BaseModel):
    """Progress of a job's study."""

    done: int
    total: int
    counts: dict[str, int]
    best_cell: str
    median_mm: float | None
    mpje_mm: float | None
    curve: list[tuple[float, float]]
    used_hours: float
    left_s: float | None
    views_per_s: float

    @classmethod
    def of(cls, progress: Progress) -> ProgressView:
        """Return the view of a study's progress."""
        return cls(**{**vars(progress), "curve": list(progress.curve)})


class DetailView(BaseModel):
    """A job with progress, history, study and links."""

    job: JobView
    progress: ProgressView
    history: list[MomentView]
    study: dict[str, Any]
    links: dict[str, str]


class ServiceView(BaseModel):
    """State of the service."""

    version: str
    dispatcher: str
    draining: bool
    queues: dict[str, int]
    per_user: int | None
    depth: dict[str, dict[str, int]]


class LogView(BaseModel):
    """A piece of a job's log."""

    text: str
    offset: int
    state: str


class Problem(BaseModel):
    """Reason why a request was refused."""

    detail: str
