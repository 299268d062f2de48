"""`handssl jobs`: look at the queue, and change it, from any machine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

from handssl.cli.groups import Group
from handssl.cli.queue_options import CODES, service_options
from handssl.cli.waiting import show, tell, waiting
from handssl.commands import command
from handssl.errors import InputError

if TYPE_CHECKING:
    from handssl.service.remote_job import Job

_STATES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")


@click.group(cls=Group)
def jobs() -> None:
    """Look at the queue of `handssl serve`, and change it."""


@jobs.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only these.")
@click.option("--user", default="", help="Only theirs.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True)
@service_options
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
@service_options
def show_job(job: str, service: str | None, as_json: bool) -> None:
    """Show a JOB: how far it is, the best so far, its history and links."""
    from handssl.cli.jobs_view import lines

    known = _job(job, service)
    found, where = known.document(), known.client.url
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found, where)))


@jobs.command("logs")
@click.argument("job")
@click.option("--follow", "-f", is_flag=True, help="As it is written, until the job is over.")
@service_options
def show_log(job: str, follow: bool, service: str | None, as_json: bool) -> None:
    """Print the log of a JOB, of all its attempts."""
    found = _job(job, service)
    if as_json:
        click.echo(json.dumps({"job": job, "log": found.logs()}))
    elif follow:
        found.status()  # what nobody knows is told at once
        with waiting(job, found.client.url):
            found.wait(show=show, tell=tell)
    else:
        click.echo(found.logs(), nl=False)


@jobs.command("wait")
@click.argument("job")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), metavar="SECONDS")
@service_options
def wait_for(job: str, timeout_s: float | None, service: str | None, as_json: bool) -> int:
    """Wait for the end of a JOB; exit code 0, 1 (failed), 3 (cancelled), 124 (timeout)."""
    found = _job(job, service)
    found.status()  # what nobody knows is told at once
    try:
        with waiting(job, found.client.url):
            state = found.wait(timeout_s, tell=tell)
    except TimeoutError as error:
        click.echo(str(error), err=True)
        return 124
    click.echo(json.dumps({"job": job, "state": state}) if as_json else f"{job}: {state}")
    return CODES[state]


@jobs.command("reprioritise", context_settings={"ignore_unknown_options": True})  # -7 is none
@click.argument("job")
@click.argument("priority", type=click.IntRange(-100, 100))
@service_options
def reprioritise(job: str, priority: int, service: str | None, as_json: bool) -> None:
    """Give a JOB another PRIORITY; higher goes first."""
    _print(job, _job(job, service).reprioritise(priority), as_json=as_json)


@jobs.command("retry")
@click.argument("job")
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(min=1), metavar="SECONDS")
@click.option("--gpu-hours", type=click.FloatRange(min=0.001), help="A larger budget.")
@service_options
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
    @service_options
    def command(job: str, service: str | None, as_json: bool) -> None:
        state = getattr(_job(job, service), name)()
        # What runs is asked, and does it when its epoch has ended.
        asked = f", asked to {name}" if state == "running" and not as_json else ""
        _print(job, state + asked, as_json=as_json)

    return command


_verb("cancel", "End a JOB; what its trials have done is kept.")
_verb("pause", "Stop a JOB after its epoch, or keep it from starting, until it is resumed.")
_verb("resume", "Queue a paused JOB again; its trials go on where they were.")


def _job(name: str, service: str | None) -> Job:
    from handssl.service.client import Client
    from handssl.service.remote_job import Job

    if not re.fullmatch("[a-z0-9]{1,16}", name):
        look = command("jobs", "list", service=service)
        raise InputError(f"JOB: expected the id of a job, got {name!r}; see `{look}`")
    return Job(name, "", False, Client(service))


def _print(job: str, state: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"job": job, "state": state}) if as_json else f"{job}: {state}")
