"""Database of the ledger and the queue: SQLite or PostgreSQL, with errors that say what to do."""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    any_,
    func,
    inspect,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from handssl.errors import DatabaseAwayError, DataError
from handssl.runtime.database_engines import engine_of
from handssl.runtime.database_errors import may_pass, reason
from handssl.runtime.retry import RetryPolicy
from handssl.runtime.secrets import masked


class Schema(NamedTuple):
    """Tables that belong together.

    Attributes:
        what: Name of the tables in messages.
        tables: SQLAlchemy metadata with the tables.
        version: Version of the tables, raised when one of them changes.
        key: Key of the version in the table `about`; two schemas may share a database.
    """

    what: str
    tables: MetaData
    version: int
    key: str


# Versions of the schemas in a database, and settings of the queue.
about = Table(
    "about",
    MetaData(),
    Column("key", String(32), primary_key=True),
    Column("value", String(200), nullable=False),
)


class Database:
    """Opens a database and creates missing tables.

    Args:
        url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
        schema: Its tables.

    Attributes:
        patience: Retry policy of `patient` methods while the server is not reachable; None: no
            retries.

    Raises:
        InputError: The URL is not valid, or names another kind of database.
        DatabaseAwayError: The server is not reachable.
        DataError: The database cannot be used, is damaged, or is of another version.
    """

    def __init__(self, url: str, schema: Schema) -> None:
        self._what = schema.what
        self.patience: RetryPolicy | None = None
        self._engine, self.name = engine_of(url, schema.what)
        # No connection is left open if `close` is not called.
        self._finalizer = weakref.finalize(self, self._engine.dispose)
        # Reading comes first: it does not wait, even if a writer is suspended.
        found = self._version(schema) or self._made(schema)
        if found != str(schema.version):
            raise DataError(
                f"{self._what} {self.name}: expected tables of version {schema.version}, found "
                f"{found}; use the version of handssl that wrote it, or another storage"
            )

    def _version(self, schema: Schema) -> str | None:
        """Return the version of the tables, None unless all exist."""
        with self.begin(reading=True) as connection:
            there = set(inspect(connection).get_table_names())
            if not {about.name, *schema.tables.tables} <= there:
                return None
            found = connection.scalar(select(about.c.value).where(about.c.key == schema.key))
            return None if found is None else str(found)

    def _made(self, schema: Schema) -> str:
        """Create missing tables; return their version."""
        with self.begin() as connection:
            # New tables are invisible to others until this commits; others must wait until then.
            self.alone(connection, "tables")
            about.create(connection, checkfirst=True)
            schema.tables.create_all(connection)
            self.add(connection, about, {"key": schema.key, "value": str(schema.version)})
            kept = select(about.c.value).where(about.c.key == schema.key)
            return str(connection.scalar(kept))

    @contextmanager
    def begin(self, *, reading: bool = False) -> Iterator[Connection]:
        """Open a connection with a transaction, committed as a whole or rolled back.

        Args:
            reading: Whether nothing is written, so that it does not wait for writers.

        Raises:
            DatabaseAwayError: The server is not reachable, or the connection was lost.
            DataError: The database returned an error; the message says what to do.
        """
        try:
            with self._engine.execution_options(reading=reading).begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            kind = DatabaseAwayError if may_pass(error) else DataError
            raise kind(masked(f"{self._what} {self.name}: {reason(error)}")) from None

    def add(self, connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a row unless one with its key exists.

        Returns:
            Whether it was inserted.
        """
        return self.add_all(connection, table, [row]) == 1

    def add_all(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> int:
        """Insert the rows whose keys do not exist yet; return how many were inserted.

        Args:
            connection: Connection in a transaction.
            table: Table to insert into.
            rows: Any number of rows, all with the same columns.
        """
        if not rows:
            return 0
        statement = self._insert(table).on_conflict_do_nothing()
        statement = statement.returning(*table.primary_key.columns)
        # Rows passed separately from the statement are sent in batches within the database's limit.
        return len(connection.execute(statement, [dict(row) for row in rows]).all())

    def among(self, column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
        """Return the condition that a column has one of any number of values.

        `column.in_(values)` needs a parameter for each, and databases limit their number:
        PostgreSQL 65,535, SQLite 32,766 or what it was built with. This needs one: an array, or
        JSON.

        Args:
            column: A text column.
            values: Allowed values.
        """
        texts = list(values)
        if self._engine.dialect.name == "postgresql":
            return column == any_(literal(texts, postgresql.ARRAY(String)))
        each = func.json_each(json.dumps(texts)).table_valued("value")
        return column.in_(select(each.c.value))

    def put(self, connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
        """Insert a row, or replace the one with its key."""
        keys = [column.name for column in table.primary_key]
        rest = {name: value for name, value in row.items() if name not in keys}
        statement = self._insert(table).values(**row)
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest))

    def alone(self, connection: Connection, name: str, *, shared: bool = False) -> None:
        """Take a named lock until the transaction ends.

        SQLite needs none, as it has a single writer at a time.

        Args:
            connection: Connection in a transaction that writes.
            name: Name of the lock.
            shared: Whether the lock is shared; the default is exclusive.
        """
        if self._engine.dialect.name == "postgresql":
            lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
            connection.execute(select(lock(func.hashtext(name))))

    def ends_when_idle(self, connection: Connection, idle_s: float) -> None:
        """Have the server end this transaction, and its locks, if its process is suspended.

        Args:
            connection: Connection in a transaction.
            idle_s: Longest time that the transaction may be idle, seconds.
        """
        if self._engine.dialect.name == "postgresql":
            setting = ("idle_in_transaction_session_timeout", str(round(idle_s * 1000)), True)
            connection.execute(select(func.set_config(*setting)))

    def now_s(self, connection: Connection) -> float:
        """Return the time of the clock shared by all clients of this database, in Unix seconds."""
        if self._engine.dialect.name == "sqlite":
            return time.time()
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))))

    def close(self) -> None:
        """Close all connections."""
        self._finalizer()

    def _insert(self, table: Table) -> Any:
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        return dialect.insert(table)
