"""Waiting for jobs in a terminal: messages meanwhile, and Ctrl-C, which ends only the waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from handssl.errors import HandsslError
from handssl.runtime.shell_commands import command


class StoppedWaitingError(HandsslError):
    """Ctrl-C while waiting for a job, which continues. Exit code 130."""

    exit_code = 130


@contextmanager
def waiting(job: str, service: str) -> Iterator[None]:
    """Convert Ctrl-C to an error that says that the job continues.

    Args:
        job: Id of the job.
        service: URL of the service.

    Raises:
        StoppedWaitingError: Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt:
        show, wait, cancel = (
            command("jobs", verb, job, service=service) for verb in ("show", "wait", "cancel")
        )
        raise StoppedWaitingError(
            f"stopped waiting; job {job} continues. Show it with `{show}`, wait again with "
            f"`{wait}`, cancel it with `{cancel}`"
        ) from None


def notify(text: str) -> None:
    """Print a message to stderr."""
    click.echo(f"handssl: {text}", err=True)


def show(text: str) -> None:
    """Print a piece of a log."""
    click.echo(text, nl=False)
