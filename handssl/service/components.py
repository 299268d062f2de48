"""Components of a service, created once and passed to all request handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.progress import Progress, Span, progress
from handssl.service.dispatch.progress_cache import ProgressCache
from handssl.service.queue.admission import Limits
from handssl.service.queue.job import Job
from handssl.service.queue.lease import Lease
from handssl.service.queue.listing import history
from handssl.service.queue.policy import Policy
from handssl.service.queue.queue import Queue
from handssl.service.queue.tokens import Tokens
from handssl.service.results.cache import Results


@dataclass
class Service:
    """Components of a running service.

    Attributes:
        queue: Queue of its jobs.
        home: Files and settings of the jobs.
        limits: Limits on jobs that run at the same time.
        policy: Files and code that studies may name.
        lease: Lease of the dispatcher.
        url: URL of this service.
        ray_url: Returns the URL of the Ray dashboard for browsers, empty if there is none.
        mlflow_url: Returns the URL of MLflow's pages for browsers, empty if there are none.
        undrain: Command that ends draining.
        on_change: Called after a request that the dispatcher may act on.
        tokens: Tokens of the users.
        board: Cache of the progress of jobs.
        results: Cache of the results of their studies.
    """

    queue: Queue
    home: JobWorkspace
    limits: Limits
    policy: Policy
    lease: Lease
    url: str = ""
    ray_url: Callable[[], str] = lambda: ""
    mlflow_url: Callable[[], str] = lambda: ""
    undrain: str = "handssl jobs drain --off"
    on_change: Callable[[], None] = lambda: None
    tokens: Tokens = field(init=False)
    board: ProgressCache = field(init=False)
    results: Results = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.queue.database)
        self.board = ProgressCache(self.progress)
        self.results = Results(self.home.storage, lambda: self.home.tracking_uri)

    def progress(self, job: Job) -> Progress:
        """Return the current progress of a job from the ledger."""
        starts = (one.time_s for one in history(self.queue, job.id) if one.state == "running")
        span = Span(next(starts, None), job.ended_s)
        return progress(self.queue.document(job.id), self.home.storage, span)

    def used_hours(self, job: Job) -> float:
        """Return the GPU or core hours that a job's trials have used since its first start."""
        return self.board.get(job).used_hours

    def links(self, job: Job) -> dict[str, str]:
        """Return links to other pages on a job, by name; `/...` is a page of this service."""
        found = {}
        if self.mlflow_url():
            found["MLflow experiment"] = f"/jobs/{job.id}/mlflow"
        if job.attempt:
            found["Report"] = f"/api/jobs/{job.id}/report"
        if (url := self.ray_url()) and job.attempt:
            found["Ray dashboard"] = f"{url}/#/jobs/{job.submission}"
        return found

    def close(self) -> None:
        """Stop everything that runs in the background."""
        self.board.close()
        self.results.close()

    @property
    def storage(self) -> Path:
        """Folder of the results."""
        return self.home.storage
