"""The web pages: rendered on the server; scripts are needed only for refreshing, no other site."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Form, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from handssl.errors import InputError
from handssl.runtime.shell_commands import DEFAULT_SERVICE
from handssl.service.components import Service
from handssl.service.dispatch.progress import resume_study
from handssl.service.job_result import JobResult
from handssl.service.queue.admission import is_draining
from handssl.service.queue.job import STATES, Job, State
from handssl.service.queue.listing import Filter, history, page, placed
from handssl.service.queue.logs import read_log
from handssl.service.web.api import JobId, Offset
from handssl.service.web.auth import COOKIE, Caller, Here, Looks, Submits, require_same_origin
from handssl.service.web.curve import curve
from handssl.service.web.formatting import ago, bare_millimetres, date, duration, millimetres
from handssl.tracking.comparison import experiment_page

_HERE = Path(__file__).parent
_PAGE = 50
_LOG_BYTES = 16_000
templates = Jinja2Templates(_HERE / "templates")
templates.env.filters |= {"ago": ago, "date": date, "duration": duration}
templates.env.filters |= {"mm": millimetres, "bare": bare_millimetres}
router = APIRouter(include_in_schema=False, dependencies=[Depends(require_same_origin)])


def mount(app: FastAPI) -> None:
    """Serve the stylesheet and the script."""
    app.mount("/static", StaticFiles(directory=_HERE / "static"))


def is_page(request: Request) -> bool:
    """Return whether a request is for a page rather than for the API."""
    return not request.url.path.startswith(("/api", "/metrics", "/static", "/healthz"))


def problem(request: Request, status: int, detail: str) -> Response:
    """Return the page with the reason why a request was refused."""
    values = {"status": status, "detail": detail, "title": "Not possible"}
    return templates.TemplateResponse(request, "problem.html", values, status)


@router.get("/")
def queue(
    request: Request,
    caller: Looks,
    service: Here,
    state: State | None = None,
    offset: Offset = 0,
    part: bool = False,
) -> Response:
    """Show the queue."""
    wanted = Filter((state,) if state else ())
    jobs, total = page(service.queue, wanted, limit=_PAGE, offset=offset)
    depth = service.queue.depth()
    rows = [(job, service.board.get(job) if job.state == "running" else None) for job in jobs]
    values = {
        "title": "Queue",
        "rows": rows,
        "total": total,
        "offset": offset,
        "page": _PAGE,
        "state": state or "",
        "counts": _counts(depth),
        "states": STATES,
        "draining": is_draining(service.queue.database) and service.undrain,
        "service": str(request.base_url).rstrip("/"),
        "default_service": DEFAULT_SERVICE,
        "dispatcher": service.lease.holder(),
        "unserved": service.queue.unserved(depth),
        "now_s": service.queue.now_s(),
    }
    name = "queue_part.html" if part else "queue.html"
    return templates.TemplateResponse(request, name, values | _common(caller))


@router.get("/jobs/{name}")
def detail(
    request: Request, name: JobId, caller: Looks, service: Here, part: bool = False
) -> Response:
    """Show a job."""
    job = placed(service.queue, [service.queue.get(name)])[0]
    progress = service.board.get(job)
    made = service.results.latest(job.study)
    values = {
        "title": job.study,
        "job": job,
        "result": JobResult.model_validate_json(made.read("shown")) if made else None,
        "progress": progress,
        "curve": curve(progress.curve),
        "history": history(service.queue, name),
        "log": read_log(service.home.log(name), -_LOG_BYTES)[0],
        "links": service.links(job),
        "mine": caller.open or caller.user == job.user,
        "now_s": service.queue.now_s(),
    }
    name = "job_part.html" if part else "job.html"
    return templates.TemplateResponse(request, name, values | _common(caller))


@router.get("/jobs/{name}/mlflow")
def mlflow(name: JobId, caller: Looks, service: Here) -> Response:
    """Redirect to the job's experiment in MLflow."""
    job = service.queue.get(name)
    return RedirectResponse(
        experiment_page(service.home.tracking_uri, job.study, service.mlflow_url()), 303
    )


@router.post("/jobs/{name}/do")
def do(
    name: JobId,
    caller: Submits,
    service: Here,
    verb: Annotated[str, Form()],
    priority: Annotated[int | None, Form(ge=-100, le=100)] = None,
) -> Response:
    """Perform the action of a button, and show the job again."""
    caller.may_control(service.queue.get(name))
    _do(service, name, verb, priority)
    service.on_change()
    return RedirectResponse(f"/jobs/{name}", 303)


def _do(service: Service, name: str, verb: str, priority: int | None) -> Job:
    queue = service.queue
    if verb == "reprioritise":
        if priority is None:
            raise InputError("priority: expected a number from -100 to 100, got none")
        return queue.reprioritise(name, priority)
    if verb == "resume":
        resume_study(queue.document(name)["study"], service.storage)
    verbs = {
        "cancel": queue.cancel,
        "pause": queue.pause,
        "resume": queue.resume,
        "retry": queue.retry,
    }
    if verb not in verbs:
        raise InputError(f"verb: expected one of {', '.join(verbs)}, got {verb!r}")
    return verbs[verb](name)


@router.get("/docs")
def docs(request: Request, caller: Looks) -> Response:
    """Show the documentation of the API, from its OpenAPI description."""
    api = request.app.openapi()
    values = {"title": "API", "api": api, "fields": lambda schema: _fields(api, schema)}
    return templates.TemplateResponse(request, "docs.html", values | _common(caller))


def _fields(api: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return the field names of a schema in the OpenAPI document."""
    found = schema.get("anyOf", [schema])[0]
    if "$ref" in found:
        found = api["components"]["schemas"][found["$ref"].rpartition("/")[2]]
    return list(found.get("properties", ()))


@router.get("/login")
def login_page(request: Request) -> Response:
    """Ask for a token."""
    return templates.TemplateResponse(request, "login.html", {"title": "Sign in", "wrong": False})


@router.post("/login")
def login(request: Request, service: Here, token: Annotated[str, Form(max_length=200)]) -> Response:
    """Store the token in a cookie that scripts and other sites cannot use."""
    token = token.strip()  # text copied from a terminal may include whitespace
    if service.tokens.find(token) is None:
        values = {"title": "Sign in", "wrong": True}
        return templates.TemplateResponse(request, "login.html", values, 401)
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/logout")
def logout() -> Response:
    """Delete the cookie with the token."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _counts(depth: Mapping[tuple[str, State], int]) -> dict[str, int]:
    found = dict.fromkeys(STATES, 0)
    for (_, state), count in depth.items():
        found[state] += count
    return {str(state): count for state, count in found.items()}


def _common(caller: Caller) -> dict[str, Any]:
    return {"caller": caller, "submits": caller.role == "submitter"}
