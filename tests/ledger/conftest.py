"""Every ledger test runs on both databases."""

import sqlite3

import pytest

from handssl.ledger import Ledger, TrialRecord
from tests.postgresql import postgres_server

ID = "0123456789abcdef"


@pytest.fixture(scope="session")
def postgresql():
    server = postgres_server()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """A fresh ledger's URL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    import psycopg

    server = request.getfixturevalue("postgresql")
    name = f"t{abs(hash(str(tmp_path))):x}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def sqlite_as_upstream_ships_it(monkeypatch):
    """Take 32,766 parameters, as where no distributor has chosen more."""
    connect = sqlite3.dbapi2.connect

    def limited(*args, **named):
        connection = connect(*args, **named)
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
        return connection

    monkeypatch.setattr(sqlite3.dbapi2, "connect", limited)


@pytest.fixture
def ledger(ledger_url, tmp_path):
    opened = Ledger(tmp_path, ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def record():
    def make(**changes):
        values = {
            "trial_id": ID,
            "study": "s",
            "stage": "objectives",
            "cell": "relative rotate",
            "composition": "rotate",
            "objective": "relative",
            "block": 1,
            "outcome": "running",
            "epochs": 3,
        }
        return TrialRecord.parse({**values, **changes})

    return make
