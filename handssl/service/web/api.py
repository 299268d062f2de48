"""The HTTP API of the queue, used by the command line and from Python."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import Field

from handssl.config import Config
from handssl.service.components import Service
from handssl.service.dispatch.progress import resume_study
from handssl.service.queue.admission import is_draining
from handssl.service.queue.job import Job, JobRequest, State
from handssl.service.queue.listing import PAGE, Filter, history, page, placed
from handssl.service.queue.logs import read_log
from handssl.service.queue.plain_data import require_plain
from handssl.service.web.auth import Here, Looks, Submits
from handssl.service.web.request_body import Body as Sent
from handssl.service.web.request_body import parse_request
from handssl.service.web.responses import (
    DetailView,
    JobView,
    LogView,
    MomentView,
    PageView,
    Problem,
    ProgressView,
    ServiceView,
)

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request cannot be read."},
    401: {"model": Problem, "description": "No token, or one that is not valid."},
    403: {"model": Problem, "description": "The token's role, or owner, may not do this."},
    404: {"model": Problem, "description": "There is no such job, or trial of its study."},
    409: {
        "model": Problem,
        "description": "The job's state, or another user's study of that name, forbids this, or "
        "there are no results yet.",
    },
    413: {"model": Problem, "description": "The request is too large."},
    422: {"model": Problem, "description": "Mistakes in the request; all are listed."},
    503: {"model": Problem, "description": "The database is not reachable; try again later."},
}
router = APIRouter(prefix="/api", responses=REFUSALS)

JobId = Annotated[str, Path(pattern=r"^[a-z0-9]{1,16}$", examples=["j0123456789a"])]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Name = Annotated[str, Query(pattern=r"^[A-Za-z0-9._-]{0,64}$")]
_YAML = {"schema": {"type": "string"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}},
            "application/yaml": _YAML,
        },
    }
}
_KNOWN: dict[int | str, dict[str, Any]] = {
    200: {"model": JobView, "description": "The existing job of the same study."}
}


class Batch(Config):
    """Several jobs, all or none of which are queued."""

    jobs: Annotated[list[JobRequest], Field(min_length=1, max_length=500)]


class Priority(Config):
    """A new priority."""

    priority: Annotated[int, Field(ge=-100, le=100)]


class Limit(Config):
    """New limits for a job that reached its old ones."""

    time_limit_s: Annotated[float, Field(gt=0, le=1e8)] | None = None
    gpu_hours: Annotated[float, Field(gt=0, le=1e7)] | None = None


@router.post("/jobs", status_code=201, responses=_KNOWN, openapi_extra=_BODY, tags=["jobs"])
def submit(
    request: Request, response: Response, caller: Submits, service: Here, body: Sent
) -> JobView:
    """Queue a study: JSON as described, or the YAML of a study with options in the query.

    Returns 201 with the new job, or 200 with the existing job of the same study.
    """
    wanted = parse_request(request, body)
    [(job, is_new)] = submit_all(service, [wanted], caller.user)
    response.status_code = 201 if is_new else 200
    return JobView.of(job, is_new=is_new)


@router.post("/jobs/batch", status_code=201, tags=["jobs"])
def submit_batch(batch: Batch, caller: Submits, service: Here) -> list[JobView]:
    """Queue several studies, all or none."""
    for number, one in enumerate(batch.jobs):
        require_plain(one.study, f"jobs.{number}.study")
    found = submit_all(service, batch.jobs, caller.user)
    return [JobView.of(job, is_new=is_new) for job, is_new in found]


def submit_all(service: Service, wanted: list[JobRequest], user: str) -> list[tuple[Job, bool]]:
    """Queue studies that the policy allows; return each job and whether it is new."""
    for one in wanted:
        service.policy.require(one.study)
    found = service.queue.submit(wanted, user=user)
    jobs = placed(service.queue, [job for job, _ in found])
    service.on_change()
    return [(job, is_new) for job, (_, is_new) in zip(jobs, found, strict=True)]


@router.get("/jobs", tags=["jobs"])
def list_jobs(
    caller: Looks,
    service: Here,
    state: Annotated[list[State] | None, Query()] = None,
    user: Name = "",
    queue: Name = "",
    study: Name = "",
    limit: Annotated[int, Query(ge=1, le=500)] = PAGE,
    offset: Offset = 0,
) -> PageView:
    """List jobs: running, waiting in order, then the newest of the others."""
    wanted = Filter(tuple(state or ()), user, queue, study)
    found, total = page(service.queue, wanted, limit=limit, offset=offset)
    jobs = [JobView.of(job) for job in found]
    return PageView(jobs=jobs, total=total, limit=limit, offset=offset)


@router.get("/jobs/{name}", tags=["jobs"])
def show(name: JobId, caller: Looks, service: Here) -> DetailView:
    """Return a job with its progress, history, study and links."""
    job = placed(service.queue, [service.queue.get(name)])[0]
    return DetailView(
        job=JobView.of(job),
        progress=ProgressView.of(service.board.get(job)),
        history=[MomentView.of(one) for one in history(service.queue, name)],
        study=dict(service.queue.document(name)["study"]),
        links=service.links(job),
    )


@router.get("/jobs/{name}/log", tags=["jobs"])
def log(
    name: JobId,
    caller: Looks,
    service: Here,
    offset: Annotated[int, Query(ge=-(2**40), le=2**40)] = 0,
) -> LogView:
    """Return the log from a byte offset on, and the next offset; negative ones count from the end.

    The log covers all attempts. To follow it, repeat the request with the last returned offset
    until the job has ended and no more text comes.
    """
    job = service.queue.get(name)
    text, end = read_log(service.home.log(name), offset)
    return LogView(text=text, offset=end, state=job.state)


@router.patch("/jobs/{name}", tags=["jobs"])
def reprioritise(name: JobId, change: Priority, caller: Submits, service: Here) -> JobView:
    """Change the priority of a job."""
    caller.may_control(service.queue.get(name))
    return _changed(service, service.queue.reprioritise(name, change.priority))


@router.post("/jobs/{name}/cancel", tags=["jobs"])
def cancel(name: JobId, caller: Submits, service: Here) -> JobView:
    """Cancel a job; results of its trials are kept."""
    return _asked(service, caller, name, service.queue.cancel)


@router.post("/jobs/{name}/pause", tags=["jobs"])
def pause(name: JobId, caller: Submits, service: Here) -> JobView:
    """Stop a job after its current epoch, or prevent its start, until it is resumed."""
    return _asked(service, caller, name, service.queue.pause)


@router.post("/jobs/{name}/resume", tags=["jobs"])
def resume(name: JobId, caller: Submits, service: Here) -> JobView:
    """Queue a paused job again."""
    found = _asked(service, caller, name, service.queue.resume)
    resume_study(service.queue.document(name)["study"], service.storage)
    return found


@router.post("/jobs/{name}/retry", tags=["jobs"])
def retry(
    name: JobId, caller: Submits, service: Here, limit: Annotated[Limit | None, Body()] = None
) -> JobView:
    """Queue a failed or cancelled job again; finished trials are not run again."""
    changes = limit.model_dump(exclude_none=True) if limit else {}
    return _asked(service, caller, name, lambda one: service.queue.retry(one, **changes))


def _asked(service: Service, caller: Submits, name: str, ask: Callable[[str], Job]) -> JobView:
    caller.may_control(service.queue.get(name))
    return _changed(service, ask(name))


def _changed(service: Service, job: Job) -> JobView:
    service.on_change()
    return JobView.of(placed(service.queue, [job])[0])


@router.get("/service", tags=["service"])
def about(caller: Looks, service: Here) -> ServiceView:
    """Return the state of the service: version, dispatcher, limits, depth of each queue."""
    depth: dict[str, dict[str, int]] = {name: {} for name in service.limits.queues}
    for (queue, state), count in service.queue.depth().items():
        depth.setdefault(queue, {})[state] = count
    return ServiceView(
        version=version("handssl"),
        dispatcher=service.lease.holder(),
        draining=is_draining(service.queue.database),
        queues=dict(service.limits.queues),
        per_user=service.limits.per_user,
        depth=depth,
    )
