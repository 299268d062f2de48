"""Options and exit codes common to the commands of the queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from handssl.errors import InputError

CODES = {"succeeded": 0, "failed": 1, "cancelled": 3}

database_option = click.option(
    "--database",
    envvar="HANDSSL_SERVICE_DATABASE",
    metavar="URL",
    help="Database of the queue, postgresql://USER@HOST/NAME; default: "
    "$HANDSSL_SERVICE_DATABASE, else SQLite in the storage.",
)


def database_url(database: str | None, storage: Path | None) -> str:
    """Return the URL of the queue's database.

    Args:
        database: The value of --database.
        storage: Folder of the results, for the default.
    """
    from handssl.execution.storage import resolve_storage
    from handssl.runtime.sqlite_url import sqlite_url

    return database or sqlite_url(resolve_storage(storage) / "service.db")


def existing_database_url(database: str | None, storage: Path | None) -> str:
    """Return the URL of an existing queue's database, without creating one.

    Args:
        database: The value of --database.
        storage: Folder of the results, for the default.

    Raises:
        InputError: It is a file that does not exist.
    """
    from handssl.runtime.sqlite_url import sqlite_path

    url = database_url(database, storage)
    file = sqlite_path(url)
    if file is not None and not file.is_file():
        raise InputError(
            f"queue: expected one in {file}, found none; give the same --storage or --database as "
            "`handssl serve`"
        )
    return url


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --service and --json to a command."""
    option = click.option(
        "--service",
        envvar="HANDSSL_SERVICE",
        metavar="URL",
        help="URL of the service; default: $HANDSSL_SERVICE, else this machine's. The token is "
        "read from $HANDSSL_TOKEN.",
    )
    json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    return option(json_option(command))
