"""`handssl serve`: the service on the head node."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from handssl.cli.options import storage_option
from handssl.cli.queue_options import database_option, database_url
from handssl.errors import InputError
from handssl.runtime.secrets import masked


@click.command()
@storage_option
@database_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True)
@click.option(
    "--ray",
    default="local",
    show_default=True,
    metavar="local|auto|URL",
    help="Start a Ray here, find one on this machine, or use the one with this dashboard URL.",
)
@click.option(
    "--mlflow",
    default="local",
    show_default=True,
    metavar="local|URI",
    help="Start an MLflow server here, or use this one.",
)
@click.option(
    "--mlflow-host",
    default="127.0.0.1",
    show_default=True,
    help="Address of the local MLflow; other than on loopback it requires a password.",
)
@click.option(
    "--mlflow-port",
    type=click.IntRange(1, 65535),
    help="Port of the local MLflow; default: the one it had before, at first --port + 1.",
)
@click.option(
    "--public-mlflow",
    default="",
    metavar="URL",
    help="URL under which browsers reach MLflow; default: the one it listens on.",
)
@click.option(
    "--public-ray",
    default="",
    metavar="URL",
    help="URL under which browsers reach Ray's dashboard; default: the one it listens on.",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME=N",
    help="A queue, and how many of its jobs run at once; default: default=1. May be repeated.",
)
@click.option("--per-user", type=click.IntRange(min=1), help="Maximum of running jobs per user.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder that paths in studies may point into. May be repeated.",
)
@click.option(
    "--allow-code",
    "modules",
    multiple=True,
    metavar="PACKAGE",
    help="A package whose encoders studies may name. May be repeated.",
)
@click.option(
    "--lease",
    "lease_s",
    type=click.FloatRange(min=1),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="A standby takes over this long after the dispatcher has failed.",
)
@click.option("--cpus", type=click.IntRange(min=1), help="CPUs of the local Ray; default: all.")
def serve(
    storage: Path | None,
    database: str | None,
    queues: tuple[str, ...],
    per_user: int | None,
    roots: tuple[Path, ...],
    modules: tuple[str, ...],
    **rest: object,
) -> None:
    """Serve a queue of studies: HTTP API, web page and dispatcher in one process.

    Ends with Ctrl-C or SIGTERM; queued and running jobs continue when it is started again. A
    second service on the same database is a standby, which takes over if the first one fails.

    \b
    Examples:
      handssl serve
      handssl serve --storage /shared/runs --queue default=2 --queue night=1 --per-user 1
      handssl serve --host 0.0.0.0 --ray auto --database postgresql://handssl@db/handssl
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.execution.storage import resolve_storage
    from handssl.runtime.private_files import make_private
    from handssl.service.credentials import ray_token

    folder = resolve_storage(storage)
    if rest["ray"] == "local":
        make_private(folder / "service")
        os.environ.update(ray_token(folder / "service"))  # before Ray is imported, which reads it
    from handssl.service.options import Options
    from handssl.service.queue.admission import Limits
    from handssl.service.queue.policy import Policy
    from handssl.service.server import serve as serve_queue

    options = Options(
        storage=folder,
        database=database_url(database, storage),
        limits=Limits(parse_queues(queues), per_user),
        policy=Policy(roots, modules),
        **rest,  # type: ignore[arg-type]
    )
    code = serve_queue(options, lambda text: click.echo(masked(text), err=True))
    sys.stdout.flush()
    os._exit(code)  # threads that watch attempts do not end by themselves


def parse_queues(texts: tuple[str, ...]) -> dict[str, int]:
    """Read NAME=N texts.

    Raises:
        InputError: A text is not NAME=N.

    Example:
        >>> parse_queues(("day=2", "night=1")), parse_queues(())
        ({'day': 2, 'night': 1}, {'default': 1})
    """
    from handssl.service.queue.job import QUEUE_NAME

    found = {}
    for text in texts:
        name, _, count = text.partition("=")
        if not re.match(QUEUE_NAME, name) or not count.isdecimal() or int(count) < 1:
            raise InputError(
                "--queue: expected NAME=N with N at least 1 and a name of up to 32 lower-case "
                f"letters, digits and hyphens, got {text!r}"
            )
        if name in found:
            raise InputError(f"--queue: expected each queue once, got {name} twice")
        found[name] = int(count)
    return found or {"default": 1}
