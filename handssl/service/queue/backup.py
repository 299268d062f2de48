"""Backup of the queue, the ledger and MLflow's store while they are in use."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from handssl.errors import DataError, InputError
from handssl.execution.storage import default_tracking_uri
from handssl.ledger.ledger import default_ledger_url
from handssl.runtime.sqlite_url import sqlite_path


def backup(target: Path, *, storage: Path, database: str) -> list[Path]:
    """Copy the SQLite databases of a service into a folder, each as a consistent snapshot.

    The ledger is copied after the queue, so that it has at least what the queue reports as done.

    Args:
        target: A folder that does not exist, or is empty.
        storage: Folder of the results.
        database: URL of the queue.

    Returns:
        The copies.

    Raises:
        InputError: The folder is not empty, or a database is in PostgreSQL.
        DataError: One cannot be read, the folder cannot be created, or the disk is full.
    """
    urls = (database, default_ledger_url(storage), default_tracking_uri(storage))
    files = [_file(url) for url in urls]
    _make_empty(target)
    return [_copy(file, target / file.name) for file in files if file.exists()]


def _make_empty(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        is_empty = not any(target.iterdir())
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    if not is_empty:
        raise InputError(f"{target}: expected a folder that is empty or does not exist")


def _file(url: str) -> Path:
    file = sqlite_path(url)
    if file is None:
        raise InputError(
            "backup: expected SQLite databases; save a PostgreSQL database with `pg_dump`, see "
            "docs/operations.md"
        )
    return file


def _copy(file: Path, target: Path) -> Path:
    part = target.with_name(target.name + ".part")
    try:
        source, copy = sqlite3.connect(file), sqlite3.connect(part)
        try:
            source.backup(copy)
        finally:
            source.close()
            copy.close()
        part.replace(target)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{file}: cannot be copied to {target}: {error}") from None
    return target
