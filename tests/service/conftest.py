"""Fixtures of the service's tests."""

from __future__ import annotations

import pytest

from handssl.service.queue.queue import Queue
from tests.postgresql import postgres_server


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for all tests that only need one to be there."""
    server = postgres_server()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def queue_url(request, tmp_path):
    """The URL of an empty queue, in either kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/service.db"
    url = request.getfixturevalue("postgres").url
    from sqlalchemy import create_engine, text

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
        connection.execute(text("DROP SCHEMA IF EXISTS dbos CASCADE"))
    engine.dispose()
    return url


@pytest.fixture
def queue(queue_url):
    """An empty queue, in either kind of database."""
    found = Queue(queue_url, queues=("default", "night"))
    yield found
    found.database.close()
