"""Operators' settings of the whole queue, kept in its database."""

from __future__ import annotations

from sqlalchemy import delete, select

from handssl.tracking.ledger.database import Database
from handssl.tracking.ledger.tables import about

_DRAINING = "service draining"


def is_draining(database: Database) -> bool:
    """Return whether the queue is draining, i.e. no jobs are started."""
    with database.begin(reading=True) as connection:
        return bool(connection.scalar(select(about.c.value).where(about.c.key == _DRAINING)))


def set_draining(database: Database, on: bool) -> None:
    """Stop starting jobs, or start them again.

    Args:
        database: Database of the queue.
        on: True to start no more jobs, False to start them again.
    """
    with database.begin() as connection:
        if on:
            database.add(connection, about, {"key": _DRAINING, "value": "yes"})
        else:
            connection.execute(delete(about).where(about.c.key == _DRAINING))
