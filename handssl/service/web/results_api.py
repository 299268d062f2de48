"""The HTTP API of results: table, report and weights of a job's study."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse

from handssl.report.style import CSS
from handssl.service.components import Service
from handssl.service.job_result import SUFFIXES, FormatName, JobResult
from handssl.service.results.making import Made
from handssl.service.results.weights import weights_of
from handssl.service.web.api import REFUSALS, JobId
from handssl.service.web.auth import Here, Looks

router = APIRouter(prefix="/api/jobs/{name}", responses=REFUSALS, tags=["results"])

_STYLE = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
# The page brings its style along, and nothing else: no script, no form, nothing from elsewhere.
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE}'; img-src data:; frame-ancestors 'none'; "
    "form-action 'none'; base-uri 'none'"
)
_KINDS: dict[FormatName, str] = {
    "html": "text/html",
    "markdown": "text/markdown",
    "latex": "application/x-tex",
    "csv": "text/csv",
}
_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {kind: {"schema": {"type": "string"}} for kind in _KINDS.values()},
    }
}
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_WEIGHTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file, in the format safetensors.", "content": _BYTES},
    206: {"description": "The range of the file that was asked for.", "content": _BYTES},
    416: {"description": "There is no such range of the file."},
}


@router.get("/result", response_model=JobResult)
async def result(name: JobId, caller: Looks, service: Here) -> Response:
    """Return the tables, trials and choices of a job's study, so far or at its end."""
    _, made = await _made(service, name)
    return _part(made, "result", "application/json")


@router.get("/report", response_class=Response, responses=_REPORT)
async def report(
    name: JobId,
    caller: Looks,
    service: Here,
    form: Annotated[FormatName, Query(alias="format")] = "html",
) -> Response:
    """Return the report of a job's study: a page, Markdown, tables for LaTeX, or CSV."""
    study, made = await _made(service, name)
    answer = _part(made, form, f"{_KINDS[form]}; charset=utf-8")
    answer.headers["Content-Disposition"] = f'inline; filename="{study}{SUFFIXES[form]}"'
    if form == "html":
        answer.headers["Content-Security-Policy"] = PAGE_POLICY
    return answer


@router.get("/weights", response_class=Response, responses=_WEIGHTS)
async def weights(
    name: JobId,
    caller: Looks,
    service: Here,
    trial: Annotated[str, Query(pattern="^[0-9a-f]{0,64}$", examples=[""])] = "",
) -> Response:
    """Return the encoder of a trial of the job's study, by default the best encoder.

    `trial` is the id of the trial or its start. `Repr-Digest` has the SHA-256 of the whole file,
    also of a range; with `If-Range: ETAG` an interrupted download continues.
    """
    study, made = await _made(service, name)
    found = await run_in_threadpool(weights_of, made, study, service.storage, trial)
    headers = _digest_headers(found.sha256) | {"X-Handssl-Trial": found.trial_id}
    return FileResponse(
        found.path,
        media_type="application/octet-stream",
        filename=f"{study}-{found.trial_id[:12]}.safetensors",
        headers=headers,
    )


async def _made(service: Service, name: str) -> tuple[str, Made]:
    """Return the name of a job's study and its results; waits without a thread."""
    job = await run_in_threadpool(service.queue.get, name)
    making = await run_in_threadpool(service.results.ask, job.study)
    # A client that is gone must not cancel what others wait for.
    return job.study, await asyncio.shield(asyncio.wrap_future(making))


def _part(made: Made, part: str, kind: str) -> Response:
    place = made.place(part)
    headers = _digest_headers(place.sha256) | {"Content-Length": str(place.length)}
    return StreamingResponse(made.pieces(part), media_type=kind, headers=headers)


def _digest_headers(sha256: str) -> dict[str, str]:
    """Return the digest of a whole representation, RFC 9530, and a tag of its content."""
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"Repr-Digest": f"sha-256=:{digest}:", "ETag": f'"{sha256}"'}
