"""`handssl jobs`: view and change the queue from any machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handssl.cli.options import Group
from handssl.cli.queue_options import CODES, service_options
from handssl.cli.views.job_wait import notify, show, waiting
from handssl.errors import InputError
from handssl.runtime.shell_commands import command

if TYPE_CHECKING:
    from handssl.service.client.remote_job import Job
    from handssl.service.job_result import FormatName

_STATES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")


@click.group(cls=Group)
def jobs() -> None:
    """View and change the queue of `handssl serve`."""


@jobs.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only this one.")
@click.option("--user", default="", help="Only jobs of this user.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True)
@service_options
def list_jobs(
    states: tuple[str, ...], user: str, limit: int, offset: int, service: str | None, as_json: bool
) -> None:
    """List jobs: running, waiting in order, then the newest of the others."""
    from handssl.cli.views.jobs import table
    from handssl.cli.views.terminal import Terminal
    from handssl.service.client.http_client import Client

    asked = {"state": list(states), "user": user, "limit": limit, "offset": offset}
    found = Client(service).ask("GET", "/jobs", params=asked)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found["jobs"]:
        click.echo("no jobs")
    else:
        Terminal().print(table(found["jobs"]))
        if found["total"] > offset + limit:
            click.echo(f"{found['total']} in total; next page: --offset {offset + limit}")


@jobs.command("show")
@click.argument("job")
@service_options
def show_job(job: str, service: str | None, as_json: bool) -> None:
    """Show a JOB: its progress, best result so far, history and links."""
    from handssl.cli.views.jobs import lines

    known = _job(job, service)
    found, where = known.document(), known.client.url
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found, where)))


@jobs.command("logs")
@click.argument("job")
@click.option("--follow", "-f", is_flag=True, help="Follow it until the job has ended.")
@service_options
def show_log(job: str, follow: bool, service: str | None, as_json: bool) -> None:
    """Print the log of all attempts of a JOB."""
    found = _job(job, service)
    if as_json:
        click.echo(json.dumps({"job": job, "log": found.logs()}))
    elif follow:
        found.status()  # an unknown job or service is reported at once
        with waiting(job, found.client.url):
            found.wait(show=show, notify=notify)
    else:
        click.echo(found.logs(), nl=False)


@jobs.command("wait")
@click.argument("job")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), metavar="SECONDS")
@service_options
def wait_for(job: str, timeout_s: float | None, service: str | None, as_json: bool) -> int:
    """Wait for the end of a JOB; exit code 0, 1 (failed), 3 (cancelled), 124 (timeout)."""
    found = _job(job, service)
    found.status()  # an unknown job or service is reported at once
    try:
        with waiting(job, found.client.url):
            state = found.wait(timeout_s, notify=notify)
    except TimeoutError as error:
        click.echo(str(error), err=True)
        return 124
    click.echo(json.dumps({"job": job, "state": state}) if as_json else f"{job}: {state}")
    return CODES[state]


@jobs.command("fetch")
@click.argument("job")
@click.option(
    "--what",
    multiple=True,
    type=click.Choice(["result", "report", "weights"]),
    help="Only this; may be repeated. Default: all three.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder of the files; default: this one.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "markdown", "latex", "csv"]),
    default="html",
    show_default=True,
    help="Format of the report.",
)
@click.option("--trial", default="", help="Trial of the weights; default: the best.")
@click.option("--quiet", "-q", is_flag=True, help="No live progress.")
@service_options
def fetch_results(
    job: str,
    what: tuple[str, ...],
    output: Path,
    form: FormatName,
    trial: str,
    quiet: bool,
    service: str | None,
    as_json: bool,
) -> None:
    """Download the results of a JOB: tables as JSON, the report, the weights of its best encoder.

    An interrupted download is continued by the same command. Digests are checked, and files are
    replaced as a whole.

    \b
    Examples:
      handssl jobs fetch JOB --output results
      handssl jobs fetch JOB --what report --format latex
      handssl jobs fetch JOB --what weights --trial 3f2a
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.fetching import fetch

    wanted = tuple(dict.fromkeys(what)) or ("result", "report", "weights")
    known, files = _job(job, service), {}
    for one in fetch(known, wanted, output, form=form, trial=trial, quiet=quiet or as_json):
        files[one.what] = str(one.path)
        if not as_json:
            click.echo(f"{one.what}: {one.path}")
    if as_json:
        click.echo(json.dumps({"job": job, "files": files}))


@jobs.command("reprioritise", context_settings={"ignore_unknown_options": True})  # allows -7
@click.argument("job")
@click.argument("priority", type=click.IntRange(-100, 100))
@service_options
def reprioritise(job: str, priority: int, service: str | None, as_json: bool) -> None:
    """Change the PRIORITY of a JOB; higher goes first."""
    _print(job, _job(job, service).reprioritise(priority), as_json=as_json)


@jobs.command("retry")
@click.argument("job")
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(min=1), metavar="SECONDS")
@click.option("--gpu-hours", type=click.FloatRange(min=0.001), help="New, larger budget.")
@service_options
def retry(
    job: str,
    time_limit_s: float | None,
    gpu_hours: float | None,
    service: str | None,
    as_json: bool,
) -> None:
    """Queue a failed or cancelled JOB again; finished trials are not run again."""
    limits = {"time_limit_s": time_limit_s, "gpu_hours": gpu_hours}
    given = {name: value for name, value in limits.items() if value is not None}
    _print(job, _job(job, service).retry(**given), as_json=as_json)


def _verb(name: str, text: str) -> click.Command:
    @jobs.command(name, help=text)
    @click.argument("job")
    @service_options
    def command(job: str, service: str | None, as_json: bool) -> None:
        state = getattr(_job(job, service), name)()
        # A running job receives a request, and acts on it after its epoch.
        asked = f", asked to {name}" if state == "running" and not as_json else ""
        _print(job, state + asked, as_json=as_json)

    return command


_verb("cancel", "Cancel a JOB; results of its trials are kept.")
_verb("pause", "Stop a JOB after its epoch, or prevent its start, until it is resumed.")
_verb("resume", "Queue a paused JOB again; its trials continue where they stopped.")


def _job(name: str, service: str | None) -> Job:
    from handssl.service.client.http_client import Client
    from handssl.service.client.remote_job import Job

    if not re.fullmatch("[a-z0-9]{1,16}", name):
        listing = command("jobs", "list", service=service)
        raise InputError(f"JOB: expected the id of a job, got {name!r}; see `{listing}`")
    return Job(name, "", False, Client(service))


def _print(job: str, state: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"job": job, "state": state}) if as_json else f"{job}: {state}")
