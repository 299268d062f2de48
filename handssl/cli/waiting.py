"""Waiting for jobs in a terminal: what is told meanwhile; Ctrl-C ends the waiting alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from handssl.commands import command
from handssl.errors import HandsslError


class StoppedWaitingError(HandsslError):
    """Ctrl-C while waiting for a job, which goes on. Exit code 130."""

    exit_code = 130


@contextmanager
def waiting(job: str, service: str) -> Iterator[None]:
    """Say of Ctrl-C that the job goes on.

    Args:
        job: Its id.
        service: URL of the service.

    Raises:
        StoppedWaitingError: Ctrl-C came.
    """
    try:
        yield
    except KeyboardInterrupt:
        show, wait, cancel = (
            command("jobs", verb, job, service=service) for verb in ("show", "wait", "cancel")
        )
        raise StoppedWaitingError(
            f"stopped waiting; job {job} goes on. Look at it with `{show}`, wait again with "
            f"`{wait}`, end it with `{cancel}`"
        ) from None


def tell(text: str) -> None:
    """Say something beside what is printed."""
    click.echo(f"handssl: {text}", err=True)


def show(text: str) -> None:
    """Print a piece of a log."""
    click.echo(text, nl=False)
