"""The dispatcher with real workflows: nothing it meets ends it, and no attempt is forgotten."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from handssl.service.dispatch import dispatcher as module
from handssl.service.dispatch.attempt import Watcher
from handssl.service.dispatch.dispatcher import Dispatcher
from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.ray_jobs import Attempt
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.job import JobRequest
from handssl.service.queue.lease import Lease
from handssl.service.queue.queue import Queue
from tests.service.services import FakeCluster, study


class Scene:
    """A dispatcher over a cluster that does what tests want."""

    def __init__(self, folder) -> None:
        url = f"sqlite:///{folder}/service.db"
        self.queue, self.cluster, self.told = Queue(url), FakeCluster(), []
        self.lease, self.leads = Lease(self.queue.database), threading.Event()
        home = JobWorkspace(folder, lambda: "http://127.0.0.1:5000", "python")
        watcher = Watcher(
            self.queue,
            self.cluster,
            home,
            lambda job: 0.0,
            self.told.append,
            poll_s=0.02,
        )
        self.dispatcher = Dispatcher(
            self.queue,
            self.lease,
            Limits(),
            watcher,
            url,
            on_lead=self.leads.set,
            on_lost=lambda: None,
            notify=self.told.append,
        )

    def start(self) -> None:
        self.dispatcher.start()
        assert self.leads.wait(60), self.told

    def submit(self) -> str:
        return self.queue.submit([JobRequest(study=study())], user="ada")[0][0].id

    def until(self, holds) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, self.told
            time.sleep(0.02)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.1)
    monkeypatch.setattr(module, "_POLL_S", 0.05)
    found = Scene(tmp_path)
    yield found
    for name in found.cluster.attempts:  # so that no thread is left that looks
        found.cluster.attempts[name] = Attempt("over", 0)
    found.until(lambda: not found.queue.running())
    found.dispatcher.stop(lambda: None)


def test_a_job_is_dispatched_and_its_end_is_seen(scene):
    scene.start()
    name = scene.submit()
    scene.until(lambda: scene.cluster.submitted)
    scene.cluster.attempts[f"handssl-{name}-1"] = Attempt("over", 0)
    scene.until(lambda: scene.queue.get(name).state == "succeeded")
    assert scene.cluster.submitted == [f"handssl-{name}-1"]


@pytest.mark.parametrize(("status", "attempts"), [("PENDING", 1), ("ERROR", 2)])
def test_an_attempt_that_nobody_works_on_goes_on_or_is_made_again(scene, status, attempts):
    scene.start()
    scene.dispatcher._limits = Limits({"default": 0})  # it admits nothing itself

    def taken_by_another(connection, job):
        scene.dispatcher.attempts.enqueue(connection, job)
        connection.execute(text(f"UPDATE workflow_status SET status = '{status}'"))

    name = scene.submit()
    admit(scene.queue, scene.lease, Limits(), taken_by_another)
    scene.until(lambda: scene.cluster.submitted or scene.queue.get(name).lost)
    scene.dispatcher._limits = Limits()
    scene.until(lambda: scene.cluster.submitted)
    assert scene.cluster.submitted == [f"handssl-{name}-{attempts}"]


def test_what_nobody_foresaw_is_reported_once_and_tried_again(scene, monkeypatch):
    launch, failures = scene.dispatcher.attempts._launch, [RuntimeError("not today")] * 3

    def fails_at_first():
        if failures:
            raise failures.pop()
        launch()

    monkeypatch.setattr(scene.dispatcher.attempts, "_launch", fails_at_first)
    scene.start()
    assert scene.told.count("RuntimeError('not today')") == 1
    name = scene.submit()
    scene.until(lambda: scene.cluster.submitted == [f"handssl-{name}-1"])


def test_another_dispatches_only_when_what_was_started_here_has_ended(scene):
    scene.start()
    other, seen = Lease(scene.queue.database), []
    scene.dispatcher.stop(lambda: seen.append(other.take()))
    assert seen == [False]
    assert other.take()
    other.release()
