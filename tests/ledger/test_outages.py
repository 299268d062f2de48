"""Which errors are an outage that is waited for, and which are not: real ones of both databases."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import bindparam, select, text

from handssl.errors import DatabaseAwayError, DataError
from handssl.ledger.tables import LEDGER, claims
from handssl.runtime.database import Database

pytestmark = pytest.mark.usefixtures("sqlite_as_upstream_ships_it")
CLAIM = {"trial_id": "a", "owner": "b", "until_s": 0.0}


def too_many_parameters(connection):
    names = [str(number) for number in range(70_001)]
    connection.execute(select(claims).where(claims.c.trial_id.in_(names)))


def the_same_row_twice(connection):
    for _ in range(2):
        connection.execute(claims.insert().values(CLAIM))


def does(statement, **values):
    def work(connection):
        parameters = [bindparam(name, value) for name, value in values.items()]
        connection.execute(text(statement).bindparams(*parameters))

    return work


MISTAKES = {
    "too many parameters": too_many_parameters,
    "no SQL": does("SELEC 1"),
    "no such table": does("SELECT * FROM missing"),
    "a key that is there": the_same_row_twice,
}
POSTGRESQL = {
    "a NUL byte": does("SELECT CAST(:one AS VARCHAR)", one="a\0b"),
    "no number": does("SELECT CAST('one' AS INTEGER)"),
    "division by zero": does("SELECT 1 / 0"),
    "a statement that takes too long": does("SET statement_timeout = 1; SELECT pg_sleep(9)"),
    "a transaction that only reads": does(
        "SET TRANSACTION READ ONLY; DELETE FROM claims"  # as on a standby
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_statement_is_no_outage(ledger_url, name):
    refused(ledger_url, MISTAKES[name])


@pytest.mark.parametrize("name", POSTGRESQL)
@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_an_answer_of_postgresql_is_no_outage(ledger_url, name):
    holder = Database(ledger_url, LEDGER)
    with holder.begin() as connection:
        connection.execute(text("LOCK TABLE claims IN ACCESS SHARE MODE"))
        refused(ledger_url, POSTGRESQL[name], opened=Database(ledger_url, LEDGER))
    holder.close()


def refused(url, work, opened=None):
    database = opened or Database(url, LEDGER)
    with pytest.raises(DataError) as caught, database.begin() as connection:
        work(connection)
    assert caught.value.exit_code == 3, caught.value
    with database.begin(reading=True) as connection:
        assert connection.scalar(select(1)) == 1
    database.close()


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_lock_that_another_keeps_is_waited_for(ledger_url):
    holder, database = Database(ledger_url, LEDGER), Database(ledger_url, LEDGER)
    with holder.begin() as connection:
        connection.execute(text("LOCK TABLE claims IN ACCESS SHARE MODE"))
        with pytest.raises(DatabaseAwayError), database.begin() as other:
            other.execute(text("SET lock_timeout = 1; LOCK TABLE claims"))
    holder.close()
    database.close()


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_ends_is_an_outage(ledger_url):
    database = Database(ledger_url, LEDGER)
    with pytest.raises(DatabaseAwayError), database.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.begin(reading=True) as connection:
        assert connection.scalar(select(1)) == 1
    database.close()


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        (lambda url: url.replace("host=", "host=/no-server-here"), DatabaseAwayError),
        (lambda url: url.replace("@/", "@127.0.0.1:1/").partition("?")[0], DatabaseAwayError),
        (lambda url: url.replace("postgres@", "nobody@"), DataError),
        (lambda url: url.replace("?", "_missing?"), DataError),
        (lambda url: url + "&sslmode=sometimes", DataError),
    ],
)
def test_who_cannot_connect_waits_only_for_a_server(ledger_url, changed, kind):
    with pytest.raises(DataError) as caught:
        Database(changed(ledger_url), LEDGER)
    assert type(caught.value) is kind, caught.value


def lock(file):
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return other


def overwrite(file):
    file.write_bytes(b"no database" * 1000)


@pytest.mark.parametrize(("harm", "kind"), [(lock, DatabaseAwayError), (overwrite, DataError)])
def test_a_file_of_sqlite_is_waited_for_only_where_another_keeps_it(
    tmp_path, monkeypatch, harm, kind
):
    monkeypatch.setattr("handssl.runtime.database_engines.BUSY_S", 0.1)
    file = tmp_path / "ledger.db"
    Database(f"sqlite:///{file}", LEDGER).close()
    kept = harm(file)
    with pytest.raises(DataError) as caught:
        database = Database(f"sqlite:///{file}", LEDGER)
        with database.begin():
            pass
    assert type(caught.value) is kind
    if kept:
        kept.close()
