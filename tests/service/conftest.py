"""Fixtures of the service's tests."""

from __future__ import annotations

import os
import shutil

import pytest

from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.dispatch.progress import Progress
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.job import JobRequest
from handssl.service.queue.queue import Queue
from tests.postgresql import postgres_server
from tests.service.services import service, study

PROGRESS = Progress(1, 3, {"completed": 1, "running": 2}, "x", 21.5, 23.0, (), 0.1, 5.0, 800.0)


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


@pytest.fixture
def prometheus():
    """Paths of Prometheus and its checker."""
    found = shutil.which("prometheus"), shutil.which("promtool")
    if None in found:
        refuse = pytest.fail if os.environ.get("HANDSSL_NO_SKIPS") == "1" else pytest.skip
        refuse("needs Prometheus: apt-get install prometheus")
    return found


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A service with a job in every state but paused."""
    of = service(tmp_path, limits=Limits({"default": 3}))
    monkeypatch.setattr(of.board, "get", lambda job: PROGRESS)
    requests_ = [JobRequest(study=study(f"s{n}"), retries=0) for n in range(5)]
    names = [job.id for job, _ in of.queue.submit(requests_, user="ada")]
    of.lease.take()
    admit(of.queue, of.lease, of.limits, lambda *_: None)
    finish(of.queue, names[0], 1, Outcome("exited", 0))
    finish(of.queue, names[1], 1, Outcome("lost", message="gone"))
    of.queue.cancel(names[4])
    return of
