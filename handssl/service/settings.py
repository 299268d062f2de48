"""What operators set for the whole queue, kept in its database."""

from __future__ import annotations

from sqlalchemy import delete, select

from handssl.tracking.ledger.database import Database
from handssl.tracking.ledger.tables import about

_DRAINING = "service draining"


def is_draining(database: Database) -> bool:
    """Say whether nothing is to be started for now."""
    with database.begin(reading=True) as connection:
        return bool(connection.scalar(select(about.c.value).where(about.c.key == _DRAINING)))


def set_draining(database: Database, on: bool) -> None:
    """Let nothing be started from now on, or let things be started again."""
    with database.begin() as connection:
        if on:
            database.add(connection, about, {"key": _DRAINING, "value": "yes"})
        else:
            connection.execute(delete(about).where(about.c.key == _DRAINING))
