"""Engines of SQLAlchemy for SQLite and PostgreSQL, with bounded waits for locks."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from handssl.errors import DataError, InputError
from handssl.runtime.secrets import masked_url

BUSY_S = 30.0  # longest wait for another's lock, and longest time that a lock is kept while idle
_AGAIN_S = 0.02


def engine_of(url: str, what: str) -> tuple[Engine, str]:
    """Return the engine of a URL, and its name for messages, without a password.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
        what: Name of the database in messages.

    Raises:
        InputError: The URL is of another kind, or psycopg is not installed.
        DataError: The folder of the file cannot be created.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError if the port is not a number
        raise InputError(_expected(url, what)) from None
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(url, Path(parsed.database or ""), what), str(parsed.database)
    if parsed.get_backend_name() != "postgresql":
        raise InputError(_expected(url, what))
    try:
        engine = create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        event.listen(engine, "connect", _bound_postgresql)
    except ImportError:
        raise InputError(
            f"a PostgreSQL {what} needs psycopg: install it with `pip install 'handssl[postgres]'`"
        ) from None
    return engine, masked_url(url)


def _expected(url: str, what: str) -> str:
    advice = "write postgresql://" if url.startswith("postgres:") else "the default is SQLite"
    return (
        f"{what}: expected sqlite:///FILE or postgresql://USER@HOST/NAME, got {masked_url(url)!r}; "
        f"{advice}"
    )


def _sqlite(url: str, file: Path, what: str) -> Engine:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{what} {file}: {error.strerror}; choose another storage") from None
    engine = create_engine(url, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _bound_postgresql(connection: Any, _: Any) -> None:
    # A process suspended within a transaction keeps its locks no longer than this, and others wait
    # for them no longer either.
    with connection.cursor() as cursor:
        for name in ("idle_in_transaction_session_timeout", "lock_timeout"):
            cursor.execute(f"SET {name} = {round(BUSY_S * 1000)}")
    connection.commit()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # Readers are not blocked by a writer, and committed data survive a power failure.
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    # The driver itself begins transactions late: two writers that have read could both fail.
    connection.isolation_level = None


def _use_wal(connection: Any) -> None:
    """Change the journal's mode; SQLite does not wait by itself while another connection does."""
    until_s = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until_s:
                raise
            time.sleep(_AGAIN_S)


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
