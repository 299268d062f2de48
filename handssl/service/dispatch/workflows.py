"""Attempts that survive the service: each is a DBOS workflow with three durable steps.

DBOS records which steps of each workflow are done, and resumes them after a kill -9. A step may run
twice, so each first checks the current state. Queued jobs are not given to DBOS: it serves
partitions (users) in random order regardless of priority, the priority of a queued workflow is
fixed, and a recovered workflow waits in line again while its driver runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from handssl.service.dispatch.outcome import Outcome
from handssl.service.queue.job import Job, submission_id

# Fixed, so that the next version of this package recovers unfinished workflows too.
_VERSION = "1"
_QUEUE = "attempts"
_WORKFLOW = "attempt"
_POLL_S = 0.2

Submit = Callable[[str, int], None]
Watch = Callable[[str, int], dict[str, Any]]
Finish = Callable[[str, int, Outcome], Any]


class Attempts:
    """Runs attempts, one workflow each.

    Args:
        url: URL of the queue's database, in which DBOS keeps its own tables too.
        submit: Starts an attempt; called again if it is not known to have succeeded.
        watch: Waits for the end of an attempt, and returns its outcome as a JSON document.
        finish: Writes the outcome to the queue.
    """

    def __init__(self, url: str, submit: Submit, watch: Watch, finish: Finish) -> None:
        self._url, self._steps = dbos_url(url), (submit, watch, finish)
        self._client: DBOSClient | None = None
        self._here = set[str]()

    def launch(self) -> None:
        """Resume the attempts of an earlier dispatcher, and take new ones."""
        try:
            self._launch()
        except Exception:
            DBOS.destroy()  # so that it can be tried again
            raise

    def _launch(self) -> None:
        config: DBOSConfig = {
            "name": "handssl",
            "system_database_url": self._url,
            "application_version": _VERSION,
            "executor_id": "dispatcher",
            "log_level": "ERROR",
            "serializer": DBOSPortableJSONSerializer(),
        }
        DBOS(config=config)
        self._register()
        DBOS.launch()
        DBOS.register_queue(_QUEUE, polling_interval_sec=_POLL_S, on_conflict="always_update")
        self._client = DBOSClient(
            system_database_url=self._url,
            serializer=DBOSPortableJSONSerializer(),
            application_name="handssl",
        )

    def close(self) -> None:
        """Take no more attempts in this process; unfinished ones resume with the next launch."""
        if self._client is not None:
            self._client.destroy()
        DBOS.destroy()

    def are_here(self, submission: str) -> bool:
        """Return whether this process works on an attempt."""
        return submission in self._here

    def go_on(self, submission: str) -> bool:
        """Resume an attempt whose process has ended.

        Returns:
            Whether it continues: not if it has ended or was never begun.
        """
        client = self._require_client()
        states = [one.status for one in client.list_workflows(workflow_ids=[submission])]
        if states == ["PENDING"]:
            client.resume_workflow(submission)
        return states in (["PENDING"], ["ENQUEUED"])

    def _register(self) -> None:
        submit, watch, finish = self._steps

        @DBOS.step(name="submit")
        def submitted(job: str, number: int) -> None:
            submit(job, number)

        @DBOS.step(name="watch")
        def watched(job: str, number: int) -> dict[str, Any]:
            return watch(job, number)

        @DBOS.step(name="finish")
        def finished(job: str, number: int, outcome: dict[str, Any]) -> None:
            finish(job, number, Outcome(**outcome))

        @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)
        def attempt(job: str, number: int) -> None:
            with self._at_work(submission_id(job, number)):
                submitted(job, number)
                finished(job, number, watched(job, number))

    @contextmanager
    def _at_work(self, submission: str) -> Iterator[None]:
        self._here.add(submission)
        try:
            yield
        finally:
            self._here.discard(submission)

    def enqueue(self, connection: Connection, job: Job) -> None:
        """Start an attempt if and only if the transaction is committed."""
        self._require_client().enqueue_in_transaction(
            connection,
            {
                "workflow_name": _WORKFLOW,
                "queue_name": _QUEUE,
                "workflow_id": submission_id(job.id, job.attempt),
                "app_version": _VERSION,
            },
            job.id,
            job.attempt,
        )

    def _require_client(self) -> DBOSClient:
        if self._client is None:
            raise RuntimeError("launch() first")
        return self._client


def dbos_url(url: str) -> str:
    """Return a database's URL in the form that DBOS expects.

    Example:
        >>> dbos_url("postgresql://a:b@h/n")
        'postgresql+psycopg://a:b@h/n'
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return str(parsed.render_as_string(hide_password=False))
