"""Waiting for jobs in a terminal: what is told meanwhile; Ctrl-C ends the waiting alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from handssl.errors import HandsslError


class StoppedWaitingError(HandsslError):
    """Ctrl-C while waiting for a job, which goes on. Exit code 130."""

    exit_code = 130


@contextmanager
def waiting(job: str) -> Iterator[None]:
    """Say of Ctrl-C that the job goes on.

    Args:
        job: Its id.

    Raises:
        StoppedWaitingError: Ctrl-C came.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedWaitingError(
            f"stopped waiting; job {job} goes on. Look at it with `handssl jobs show {job}`, "
            f"wait again with `handssl jobs wait {job}`, end it with `handssl jobs cancel {job}`"
        ) from None


def tell(text: str) -> None:
    """Say something beside what is printed."""
    click.echo(f"handssl: {text}", err=True)


def show(text: str) -> None:
    """Print a piece of a log."""
    click.echo(text, nl=False)
