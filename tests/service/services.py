"""Services for tests: queues in both databases, an application, a cluster that is a dictionary."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn

from handssl.runtime.sqlite_url import sqlite_url
from handssl.service.components import Service
from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.ray_jobs import Attempt, UnreachableError
from handssl.service.queue.admission import Limits
from handssl.service.queue.lease import Lease
from handssl.service.queue.policy import Policy
from handssl.service.queue.queue import Queue
from handssl.service.web.app import create_app


def study(name: str = "x", **values: Any) -> dict[str, Any]:
    """Return the smallest study of this name."""
    return {"name": name, "cells": [{"composition": []}], **values}


def service(folder: Path, **options: Any) -> Service:
    """Return a service over a queue of its own in a folder."""
    url = options.pop("database", sqlite_url(folder / "service.db"))
    limits = options.pop("limits", Limits())
    queue = Queue(url, queues=tuple(limits.queues))
    home = JobWorkspace(folder, lambda: sqlite_url(folder / "mlflow.db"))
    policy = options.pop("policy", Policy())
    return Service(queue, home, limits, policy, Lease(queue.database), **options)


@contextlib.contextmanager
def served(of: Service, **settings: Any) -> Iterator[str]:
    """Serve on a free port of this machine, or on the one that is named; give the URL."""
    config = uvicorn.Config(create_app(of), **({"port": 0, "log_level": "error"} | settings))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        of.close()


class FakeCluster:
    """Submissions in a dictionary; `away` answers nobody, drivers have all run for `ran_s`."""

    def __init__(self) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.submitted: list[str] = []
        self.stopped: list[str] = []
        self.away, self.ran_s = False, 0.0

    def attempt(self, submission: str) -> Attempt:
        self._answer()
        found = self.attempts.get(submission)
        return replace(found, ran_s=self.ran_s) if found else Attempt("unknown")

    def submit(self, submission: str, entrypoint: str, metadata: dict[str, str]) -> None:
        self._answer()
        self.submitted.append(submission)
        self.attempts[submission] = Attempt("running")

    def stop(self, submission: str) -> None:
        self._answer()
        self.stopped.append(submission)
        self.attempts[submission] = Attempt("stopped")

    def _answer(self) -> None:
        if self.away:
            raise UnreachableError("nobody answers")
