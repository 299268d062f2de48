"""`handssl submit`: submit a study to the queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from handssl.cli.options import parse_changes
from handssl.cli.queue_options import CODES, service_options
from handssl.cli.views.job_wait import notify, show, waiting
from handssl.runtime.shell_commands import command

if TYPE_CHECKING:
    from handssl.service.client.remote_job import Job


def _how(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--workers", type=click.IntRange(min=1), help="Workers of each trial."),
        click.option(
            "--max-concurrent-trials", type=click.IntRange(min=1), help="Trials at the same time."
        ),
        click.option("--trials-per-gpu", type=click.IntRange(1, 64), help="Trials per GPU."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("source", metavar="STUDY")
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="Higher goes first.")
@click.option("--queue", default="default", show_default=True, help="Name of the queue.")
@click.option("--retries", type=click.IntRange(0, 20), default=3, help="Restarts after a loss.")
@click.option("--time-limit", "time_limit_s", type=click.FloatRange(min=1), metavar="SECONDS")
@click.option("--gpu-hours", type=click.FloatRange(min=0.001), help="Budget of its trials.")
@click.option("--again", is_flag=True, help="Even if the same study has a job already.")
@click.option("--wait", "waits", is_flag=True, help="Show its log and wait for its end.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one value.")
@_how
@service_options
def submit(
    source: str,
    waits: bool,
    changes: tuple[str, ...],
    service: str | None,
    as_json: bool,
    workers: int | None,
    max_concurrent_trials: int | None,
    trials_per_gpu: int | None,
    **rest: Any,
) -> int:
    """Submit STUDY, a YAML file or a name, to the queue of `handssl serve`.

    For a study that has a job already, that job is returned. With --wait the exit code is 0 if the
    job succeeded, 1 if it failed, 3 if it was cancelled; Ctrl-C ends the waiting, not the job.

    \b
    Examples:
      handssl submit mine.yaml --priority 5
      handssl submit smoke --wait
      HANDSSL_SERVICE=http://head:8642 HANDSSL_TOKEN=... handssl submit paper --gpu-hours 100
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.commands.study import load_study
    from handssl.service.client.remote_job import submit as hand_over
    from handssl.service.queue.job import JobOptions

    study = load_study(source).merged(parse_changes(changes))
    given = {
        "workers": workers,
        "max_concurrent_trials": max_concurrent_trials,
        "trials_per_gpu": trials_per_gpu,
    }
    how = JobOptions.parse({name: value for name, value in given.items() if value is not None})
    job = hand_over(study, how=how, service=service, **rest)
    if not waits:
        _print(job, job.document()["job"], as_json=as_json)
        return 0
    state, found = _waited(job, quiet=as_json)
    if as_json:
        _print(job, found, as_json=True)
    return CODES[state]


def _waited(job: Job, *, quiet: bool) -> tuple[str, dict[str, Any]]:
    """Wait for the end of a job; return how it ended, and the job, which may be queued again."""
    if not quiet:
        click.echo(f"{job.id}: {'queued' if job.is_new else 'existed already'}", err=True)
    with waiting(job.id, job.client.url):
        state = job.wait(show=(lambda _: None) if quiet else show, notify=notify)
        found = job.document(notify=notify)["job"]
    if not quiet:
        click.echo(f"{job.id}: {state}{_why(found) if found['state'] == state else ''}", err=True)
    return state, found


def _print(job: Job, found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found | {"is_new": job.is_new}, indent=2))
        return
    place = f", place {found['position']}" if found["position"] else ""
    known = "" if job.is_new else " (the same study has a job already; --again queues another)"
    click.echo(f"{job.id}: {found['state']}{place}{known}")
    logs = command("jobs", "logs", job.id, service=job.client.url)
    click.echo(f"view it: {job.client.url}/jobs/{job.id}   {logs}")


def _why(job: dict[str, Any]) -> str:
    return f" ({job['message']})" if job["message"] else ""
