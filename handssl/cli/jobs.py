"""`handssl submit` and `handssl jobs`: the queue from a shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handssl.cli.options import parse_changes, storage_option
from handssl.cli.serving import database_option, database_url
from handssl.errors import InputError

if TYPE_CHECKING:
    from handssl.service.client import Job

_CODES = {"succeeded": 0, "failed": 1, "cancelled": 3}
_STATES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")


def _service(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--service",
        envvar="HANDSSL_SERVICE",
        metavar="URL",
        help="Of the service; default: $HANDSSL_SERVICE, else this machine's. The token is "
        "taken from $HANDSSL_TOKEN.",
    )
    json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    return option(json_option(command))


def _how(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--workers", type=click.IntRange(min=1), help="Of each trial."),
        click.option("--at-once", type=click.IntRange(min=1), help="Trials at the same time."),
        click.option("--trials-per-gpu", type=click.IntRange(1, 64), help="That share a GPU."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("source", metavar="STUDY")
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="Higher goes first.")
@click.option("--queue", default="default", show_default=True, help="Which queue.")
@click.option("--retries", type=click.IntRange(0, 20), default=3, help="After a loss.")
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(min=1), metavar="SECONDS")
@click.option("--gpu-hours", type=click.FloatRange(min=0.001), help="Budget of its trials.")
@click.option("--again", is_flag=True, help="Also where the same study is there already.")
@click.option("--wait", "waits", is_flag=True, help="Show its log and wait for its end.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one value.")
@_how
@_service
def submit(
    source: str,
    waits: bool,
    changes: tuple[str, ...],
    service: str | None,
    as_json: bool,
    workers: int | None,
    at_once: int | None,
    trials_per_gpu: int | None,
    **rest: Any,
) -> int:
    """Hand STUDY, a YAML file or a name, to the queue of `handssl serve`.

    The same study again returns the job that is there. With --wait the exit code is 0 if the job
    succeeded, 1 if it failed, 3 if it was cancelled.

    \b
    Examples:
      handssl submit mine.yaml --priority 5
      handssl submit smoke --wait
      HANDSSL_SERVICE=http://head:8642 HANDSSL_TOKEN=... handssl submit paper --gpu-hours 100
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.study import load_study
    from handssl.service.client import submit as hand_over
    from handssl.service.job import How

    study = load_study(source).merged(parse_changes(changes))
    given = {"workers": workers, "at_once": at_once, "trials_per_gpu": trials_per_gpu}
    how = How.parse({name: value for name, value in given.items() if value is not None})
    job = hand_over(study, how=how, service=service, **rest)
    if waits and not as_json:
        return _told(job)
    if waits:
        job.wait()
    return _said(job, as_json=as_json, waited=waits)


def _told(job: Job) -> int:
    click.echo(f"{job.id}: {'queued' if job.is_new else 'was there already'}", err=True)
    for text in job.follow():
        click.echo(text, nl=False)
    found = job.document()["job"]
    click.echo(f"{job.id}: {found['state']}{_why(found)}", err=True)
    return _CODES[found["state"]]


def _said(job: Job, *, as_json: bool, waited: bool) -> int:
    found = job.document()["job"]
    if as_json:
        click.echo(json.dumps(found | {"is_new": job.is_new}, indent=2))
    else:
        place = f", place {found['position']}" if found["position"] else ""
        known = "" if job.is_new else " (the same study was there; --again queues it once more)"
        click.echo(f"{job.id}: {found['state']}{place}{known}")
        click.echo(f"look at it: {job.client.url}/jobs/{job.id}   handssl jobs logs {job.id}")
    return _CODES.get(found["state"], 0) if waited else 0


@click.group()
def jobs() -> None:
    """Look at the queue of `handssl serve`, and change it."""


@jobs.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only these.")
@click.option("--user", default="", help="Only theirs.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True)
@_service
def list_jobs(
    states: tuple[str, ...], user: str, limit: int, offset: int, service: str | None, as_json: bool
) -> None:
    """List jobs: running, waiting in order, then the newest of the others."""
    from handssl.cli.jobs_view import table
    from handssl.cli.terminal import Terminal
    from handssl.service.client import Client

    asked = {"state": list(states), "user": user, "limit": limit, "offset": offset}
    found = Client(service).ask("GET", "/jobs", params=asked)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found["jobs"]:
        click.echo("no jobs")
    else:
        Terminal().print(table(found["jobs"]))
        if found["total"] > offset + limit:
            click.echo(f"{found['total']} in all; the next ones: --offset {offset + limit}")


@jobs.command("show")
@click.argument("job")
@_service
def show_job(job: str, service: str | None, as_json: bool) -> None:
    """Show a JOB: how far it is, the best so far, its history and links."""
    from handssl.cli.jobs_view import lines

    found = _job(job, service).document()
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))


@jobs.command("logs")
@click.argument("job")
@click.option("--follow", "-f", is_flag=True, help="As it is written, until the job is over.")
@_service
def show_log(job: str, follow: bool, service: str | None, as_json: bool) -> None:
    """Print the log of a JOB, of all its attempts."""
    found = _job(job, service)
    if as_json:
        click.echo(json.dumps({"job": job, "log": found.logs()}))
    elif follow:
        for text in found.follow():
            click.echo(text, nl=False)
    else:
        click.echo(found.logs(), nl=False)


@jobs.command("wait")
@click.argument("job")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), metavar="SECONDS")
@_service
def wait_for(job: str, timeout_s: float | None, service: str | None, as_json: bool) -> int:
    """Wait for the end of a JOB; exit code 0, 1 (failed), 3 (cancelled), 124 (timeout)."""
    try:
        state = _job(job, service).wait(timeout_s)
    except TimeoutError as error:
        click.echo(str(error), err=True)
        return 124
    click.echo(json.dumps({"job": job, "state": state}) if as_json else f"{job}: {state}")
    return _CODES[state]


@jobs.command("reprioritise", context_settings={"ignore_unknown_options": True})  # -7 is none
@click.argument("job")
@click.argument("priority", type=click.IntRange(-100, 100))
@_service
def reprioritise(job: str, priority: int, service: str | None, as_json: bool) -> None:
    """Give a JOB another PRIORITY; higher goes first."""
    _print(job, _job(job, service).reprioritise(priority), as_json=as_json)


@jobs.command("retry")
@click.argument("job")
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(min=1), metavar="SECONDS")
@click.option("--gpu-hours", type=click.FloatRange(min=0.001), help="A larger budget.")
@_service
def retry(
    job: str,
    time_limit_s: float | None,
    gpu_hours: float | None,
    service: str | None,
    as_json: bool,
) -> None:
    """Queue a JOB again that failed or was cancelled; finished trials are not run again."""
    limits = {"time_limit_s": time_limit_s, "gpu_hours": gpu_hours}
    given = {name: value for name, value in limits.items() if value is not None}
    _print(job, _job(job, service).retry(**given), as_json=as_json)


def _verb(name: str, text: str) -> click.Command:
    @jobs.command(name, help=text)
    @click.argument("job")
    @_service
    def command(job: str, service: str | None, as_json: bool) -> None:
        _print(job, getattr(_job(job, service), name)(), as_json=as_json)

    return command


_verb("cancel", "End a JOB; what its trials have done is kept.")
_verb("pause", "Stop a JOB after its epoch, or keep it from starting, until it is resumed.")
_verb("resume", "Queue a paused JOB again; its trials go on where they were.")


@jobs.command("drain")
@click.option("--off", is_flag=True, help="Start jobs again.")
@click.option("--wait", "waits", is_flag=True, help="Until nothing runs.")
@storage_option
@database_option
def drain(off: bool, waits: bool, storage: Path | None, database: str | None) -> None:
    """Start nothing more, on the head, e.g. before an upgrade; what runs ends, the rest is kept."""
    import time

    from handssl.service.queue import Queue
    from handssl.service.settings import set_draining

    queue = Queue(database_url(database, storage))
    set_draining(queue.database, not off)
    while waits and (left := sum(n for (_, s), n in queue.depth().items() if s == "running")):
        click.echo(f"{left} running", err=True)
        time.sleep(2.0)
    click.echo("jobs are started again" if off else "draining: nothing new is started")


@jobs.command("backup")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@storage_option
@database_option
def back_up(folder: Path, storage: Path | None, database: str | None) -> None:
    """Copy queue, ledger and MLflow's runs into FOLDER, on the head, while all is running.

    \b
    Example:
      handssl jobs backup /backup/$(date +%F)
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.service.backup import backup
    from handssl.sweep.storage import resolve_storage

    url = database_url(database, storage)
    for copy in backup(folder, storage=resolve_storage(storage), database=url):
        click.echo(str(copy))


def _job(name: str, service: str | None) -> Job:
    from handssl.service.client import Client, Job

    if not name.isalnum():
        raise InputError(f"JOB: expected the id of a job, got {name!r}; see `handssl jobs list`")
    return Job(name, "", False, Client(service))


def _print(job: str, state: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"job": job, "state": state}) if as_json else f"{job}: {state}")


def _why(job: dict[str, Any]) -> str:
    return f" ({job['message']})" if job["message"] else ""
