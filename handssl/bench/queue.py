"""Benchmark of a long job queue: submitting, listing, and choosing the next job."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import uvicorn

from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress
from handssl.runtime.sqlite_url import sqlite_url
from handssl.service.components import Service
from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.dispatch.workflows import Attempts
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.lease import Lease
from handssl.service.queue.policy import Policy
from handssl.service.queue.queue import Queue
from handssl.service.web.app import create_app

BATCH = 250
REPEATS = 20
LIMITS = {"submissions a second": 200.0, "page, s": 0.1, "decision, s": 1.0}


@dataclass(frozen=True)
class QueueCost:
    """Results for one kind of database.

    Attributes:
        database: Kind of the database.
        jobs: Number of queued jobs.
        per_second: Submissions per second over HTTP, in batches.
        page_s: Median and worst time in seconds of a page of 50 jobs as JSON, from the start and
            the middle.
        html_s: Median and worst time in seconds of the same pages as HTML.
        decision_s: Median and worst time in seconds to take the next job from the queue, start its
            durable attempt, and record its end.
    """

    database: str
    jobs: int
    per_second: float
    page_s: tuple[float, float]
    html_s: tuple[float, float]
    decision_s: tuple[float, float]


def bench_queue(
    jobs: int, *, database: str | None = None, on_progress: OnProgress | None = None
) -> QueueCost:
    """Queue jobs of four users through a real server, list them, and start some.

    Args:
        jobs: Number of jobs.
        database: URL of an empty PostgreSQL database; default: SQLite in a temporary folder.
        on_progress: Called with (jobs submitted, total jobs).

    Returns:
        The measured costs.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = database or sqlite_url(Path(folder) / "service.db")
        service = _service(Path(folder), url)
        root = stack.enter_context(_served(service))
        began_s = time.perf_counter()
        for start in range(0, jobs, BATCH):
            _submit(root, start, min(BATCH, jobs - start))
            if on_progress:
                on_progress(min(jobs, start + BATCH), jobs)
        per_second = jobs / (time.perf_counter() - began_s)
        middle = jobs // 2
        pages = [f"/api/jobs?limit=50&offset={place}" for place in (0, middle)]
        htmls = [f"/?offset={place}" for place in (0, middle)]
        return QueueCost(
            database="PostgreSQL" if database else "SQLite",
            jobs=jobs,
            per_second=per_second,
            page_s=_timed(lambda n: _get(root + pages[n % 2])),
            html_s=_timed(lambda n: _get(root + htmls[n % 2])),
            decision_s=_decisions(service, url),
        )


def _service(folder: Path, url: str) -> Service:
    queue = Queue(url)
    home = JobWorkspace(folder, lambda: "")
    return Service(queue, home, Limits(), Policy(), Lease(queue.database))


def _submit(root: str, start: int, count: int) -> None:
    jobs = [
        {
            "study": {"name": f"study-{number}", "cells": [{"composition": ["rotate"]}]},
            "priority": number % 5,
        }
        for number in range(start, start + count)
    ]
    user = {"X-Handssl-User": f"user{start // BATCH % 4}"}
    answer = requests.post(f"{root}/api/jobs/batch", json={"jobs": jobs}, headers=user, timeout=60)
    answer.raise_for_status()


def _get(url: str) -> None:
    requests.get(url, timeout=60).raise_for_status()


def _timed(call: Callable[[int], Any]) -> tuple[float, float]:
    times = []
    for number in range(REPEATS):
        began_s = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began_s)
    return statistics.median(times), max(times)


def _decisions(service: Service, url: str) -> tuple[float, float]:
    attempts = Attempts(
        url, lambda *_: None, lambda *_: Outcome("exited", 0).document(), lambda *_: None
    )
    attempts.launch()
    service.lease.take()
    limits = Limits(per_user=1)

    def decide(_: int) -> None:
        [job] = admit(service.queue, service.lease, limits, attempts.enqueue)
        finish(service.queue, job.id, job.attempt, Outcome("exited", 0))

    try:
        return _timed(decide)
    finally:
        attempts.close()


@contextlib.contextmanager
def _served(service: Service) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        service.board.close()
        service.queue.database.close()


def text(costs: list[QueueCost]) -> str:
    """Return the results as a Markdown page.

    Args:
        costs: Costs of one or both kinds of database.
    """
    rows = [
        f"| {cost.database} | {cost.jobs:,} | {cost.per_second:.0f} | {_ms(cost.page_s)} | "
        f"{_ms(cost.html_s)} | {_ms(cost.decision_s)} |"
        for cost in costs
    ]
    return "\n".join(
        [
            "# What a long queue costs",
            "",
            f"`handssl bench queue`: {describe()}.",
            "",
            f"Jobs of four users and five priorities, submitted over HTTP in batches of {BATCH}; "
            f"then, with all of them waiting, pages of 50 jobs from the start and the middle, and "
            f"decisions what is started next with the durable attempt begun and the end written, "
            f"{REPEATS} times each: median (worst) in ms.",
            "",
            "| database | jobs | submissions a second | page, JSON | page, HTML | decision |",
            "|---|---:|---:|---:|---:|---:|",
            *rows,
            "",
            "Required: at least 200 a second, a page in less than 100 ms, a decision in less than "
            "1 s.",
        ]
    )


def _ms(times: tuple[float, float]) -> str:
    return f"{times[0] * 1e3:.0f} ({times[1] * 1e3:.0f})"
