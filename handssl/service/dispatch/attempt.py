"""Watches an attempt until it has ended, and stops it if requested or over a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from handssl.errors import DataError
from handssl.execution.supervision.outcome_file import read_outcome
from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.outcome import Outcome, finish
from handssl.service.dispatch.progress import is_paused
from handssl.service.dispatch.ray_jobs import Attempt, Cluster, UnreachableError
from handssl.service.queue.job import Job, submission_id
from handssl.service.queue.queue import Queue

POLL_S = 1.0
PATIENCE_S = 30.0  # if Ray is not reachable for longer, an attempt counts as lost
_PAUSED = 75
_AMBIGUOUS = 1  # trials have failed, or Python or Ray has ended the process

Tell = Callable[[str], None]
Result = TypeVar("Result")


@dataclass
class Watcher:
    """The three steps of an attempt: submit, watch, finish.

    Args:
        queue: Queue of the service.
        cluster: Cluster on which it runs.
        home: Files and settings of the job.
        used_hours: Returns the GPU or core hours that a job's trials have used.
        notify: Called with each message for the operator.
        poll_s: Interval between two checks, seconds.
        patience_s: How long Ray may be unreachable, seconds.
        wake: Event that ends the wait for the next check.
    """

    queue: Queue
    cluster: Cluster
    home: JobWorkspace
    used_hours: Callable[[Job], float]
    notify: Tell
    poll_s: float = POLL_S
    patience_s: float = PATIENCE_S
    wake: threading.Event = field(default_factory=threading.Event)

    def submit(self, name: str, number: int) -> None:
        """Start an attempt unless it has been started or is no longer wanted.

        If Ray accepts no jobs, wait for it: nothing has been lost yet.
        """
        submission, silent_since = submission_id(name, number), time.monotonic()
        while True:
            job = self._job(name)
            if job.wanted or job.attempt != number or job.state != "running":
                return
            try:
                if self.cluster.attempt(submission).state != "unknown":
                    return
                if self._is_alone(job):
                    self._start(job)
                    return
            except (UnreachableError, OSError) as error:
                if time.monotonic() - silent_since > self.patience_s:
                    self.notify(f"job {name} waits: {error}")
                    silent_since = time.monotonic()
            self._pause()

    def _is_alone(self, job: Job) -> bool:
        """Return whether no earlier attempt runs; stop one that was wrongly considered lost."""
        earlier = [submission_id(job.id, number) for number in range(1, job.attempt)]
        alive = [one for one in earlier if self.cluster.attempt(one).state == "running"]
        for submission in alive:
            self.cluster.stop(submission)
        return not alive

    def _start(self, job: Job) -> None:
        document = self._patiently(lambda: self.queue.document(job.id))
        entrypoint = self.home.write(job, document)
        metadata = {"job": job.id, "study": job.study, "user": job.user}
        self.cluster.submit(job.submission, entrypoint, metadata)
        self.notify(f"job {job.id} ({job.study}, {job.user}): attempt {job.attempt} started")

    def watch(self, name: str, number: int) -> dict[str, Any]:
        """Return the outcome of an attempt when it has ended."""
        submission, silent_since, ran_s = submission_id(name, number), None, 0.0
        while True:
            job = self._job(name)
            if job.attempt != number or job.state != "running":
                return Outcome("stopped", reason="over").document()
            why = self._why_stop(job, ran_s)
            try:
                found, silent_since = self.cluster.attempt(submission), None
                ran_s = max(ran_s, found.ran_s)
                if found.state != "running":
                    return replace(self._outcome(job, found, why), ran_s=ran_s).document()
                if why:
                    self.cluster.stop(submission)
            except UnreachableError as error:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > self.patience_s:
                    if not why or not self.home.was_begun(name):
                        return Outcome("lost", message=str(error), ran_s=ran_s).document()
                    # If it were considered ended, it might keep running without being stopped.
                    self.notify(f"job {name} will be stopped when Ray answers again: {error}")
                    silent_since = time.monotonic()
            self._pause()

    def _outcome(self, job: Job, found: Attempt, why: str) -> Outcome:
        text = _SAID.get(why, "").format(job=job)
        if found.state == "unknown":
            # If it was to be stopped before it was started, nothing was lost.
            lost = "the cluster it ran on is gone"
            return Outcome("lost", reason=why, message=text or lost)
        if found.state == "stopped":
            return Outcome("stopped", found.code, why, text or "its driver was stopped in Ray")
        if found.code == _PAUSED and self._study_is_paused(job):
            return Outcome("exited", found.code, "paused", "paused with `handssl study pause`")
        if found.code is None or found.code < 0 or found.code > 128:
            return Outcome("lost", found.code, why, text or "its driver was killed")
        told = read_outcome(self.home.outcome(job.id, job.attempt))
        if found.code == _AMBIGUOUS and told is None:
            lost = "its driver ended without reporting an outcome, e.g. because Ray stopped"
            return Outcome("lost", found.code, why, text or lost)
        ended = told.message.splitlines()[0] if told and told.message else ""
        text = text or ended or f"its driver exited with code {found.code}"
        return Outcome("exited", found.code, why, text)

    def _study_is_paused(self, job: Job) -> bool:
        return self._patiently(
            lambda: is_paused(self.queue.document(job.id)["study"], self.home.storage)
        )

    def _why_stop(self, job: Job, ran_s: float) -> str:
        if job.wanted:
            return job.wanted
        if job.time_limit_s and job.used_s + ran_s > job.time_limit_s:
            return "time"
        if job.gpu_hours and self._patiently(lambda: self.used_hours(job)) > job.gpu_hours:
            return "budget"
        return ""

    def finish(self, name: str, number: int, outcome: Outcome) -> None:
        """Write the outcome of an attempt into the queue."""
        job = self._patiently(lambda: finish(self.queue, name, number, outcome))
        text = f": {job.message}" if job.message else ""
        self.notify(f"job {name} ({job.study}, {job.user}): {job.state}{text}")

    def _job(self, name: str) -> Job:
        return self._patiently(lambda: self.queue.get(name))

    def _patiently(self, call: Callable[[], Result]) -> Result:
        """Return the result of a call, repeated without limit while the database is unreachable.

        An exception would be stored as the step's result, and the attempt would never end.
        """
        while True:
            try:
                return call()
            except DataError as error:
                self.notify(str(error))
                self._pause()

    def _pause(self) -> None:
        self.wake.wait(self.poll_s)


_SAID = {
    "time": "its time limit of {job.time_limit_s:g} s is over",
    "budget": "its {job.gpu_hours:g} GPU hours are used",
}
