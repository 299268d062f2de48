"""Python interface of the queue: `handssl.submit(study)`, and the job that it returns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handssl.config import Config, read_yaml
from handssl.errors import InputError
from handssl.service.client import retry
from handssl.service.client.download import OnProgress, download, ignored
from handssl.service.client.http_client import REPORT_TIMEOUT_S, Client
from handssl.service.client.retry import Tell, ask_patiently, silent
from handssl.service.job_result import FormatName, JobResult
from handssl.service.queue.job import ENDED, JobOptions, JobRequest

if TYPE_CHECKING:
    from handssl.study.study import Study


@dataclass
class Job:
    """A job of the queue.

    Attributes:
        id: Id of the job.
        study: Name of its study.
        is_new: Whether it was queued by this call; False if the same study had a job already.
        client: Client of the service.
    """

    id: str
    study: str
    is_new: bool
    client: Client

    def document(self, *, notify: Tell | None = None) -> dict[str, Any]:
        """Return all information on the job: job, progress, history, study, links.

        Args:
            notify: Called once if the service is not reachable; None: the request is not repeated.
        """
        path = f"/jobs/{self.id}"
        if notify is None:
            return dict(self.client.ask("GET", path))
        return dict(ask_patiently(self.client, path, notify=notify))

    def status(self) -> str:
        """Return its state: queued, running, paused, succeeded, failed or cancelled."""
        return str(self.document()["job"]["state"])

    def wait(
        self, timeout_s: float | None = None, *, show: Tell = silent, notify: Tell = silent
    ) -> str:
        """Wait until the job has ended, and return its state.

        While the service is not reachable, e.g. during a restart, requests are repeated for up to
        five minutes. To stop waiting does not stop the job.

        Args:
            timeout_s: Longest time to wait, seconds; None: without limit.
            show: Called with each piece of its log.
            notify: Called once if the service is not reachable.

        Returns:
            succeeded, failed or cancelled.

        Raises:
            TimeoutError: The job has not ended in time.
            UnavailableError: The service was not reachable for too long.
        """
        state = ""
        for text, now in self._pieces(timeout_s, notify):
            state = now
            if text:
                show(text)
        return state

    def follow(self, timeout_s: float | None = None, *, notify: Tell = silent) -> Iterator[str]:
        """Yield its log as it is written, until the job has ended.

        Args:
            timeout_s: Longest time to wait, seconds; None: without limit.
            notify: Called once if the service is not reachable.

        Raises:
            TimeoutError: The job has not ended in time.
            UnavailableError: The service was not reachable for too long.
        """
        return (text for text, _ in self._pieces(timeout_s, notify) if text)

    def _pieces(self, timeout_s: float | None, notify: Tell) -> Iterator[tuple[str, str]]:
        """Yield pieces of its log, each with the state at that time; the last state is final."""
        until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        path, offset = f"/jobs/{self.id}/log", 0
        while True:
            asked = {"offset": offset}
            piece = ask_patiently(self.client, path, notify=notify, until_s=until_s, params=asked)
            offset = piece["offset"]
            yield str(piece["text"]), str(piece["state"])
            if piece["text"]:
                continue
            if piece["state"] in ENDED:
                return
            if time.monotonic() > until_s:
                raise TimeoutError(f"job {self.id} is {piece['state']} after {timeout_s:g} s")
            time.sleep(retry.POLL_S)

    def logs(self) -> str:
        """Return its log so far."""
        text, offset = "", 0
        while True:
            piece = self.client.ask("GET", f"/jobs/{self.id}/log", params={"offset": offset})
            if not piece["text"]:
                return text
            text, offset = text + piece["text"], piece["offset"]

    def result(self) -> JobResult:
        """Return the tables, trials and choices of its study, so far or at its end.

        Raises:
            InputError: Nothing of it has been run yet.
        """
        found = self.client.ask("GET", f"/jobs/{self.id}/result", timeout_s=REPORT_TIMEOUT_S)
        return JobResult.model_validate(found)

    def report(self, format: FormatName = "html") -> str:  # noqa: A002  (as in `write_report`)
        """Return the report of its study.

        Args:
            format: `html`, `markdown`, `latex` or `csv`.

        Raises:
            InputError: The format is unknown, or nothing of the study has been run yet.
        """
        asked = {"format": format}
        with self.client.open(f"/jobs/{self.id}/report", headers={}, params=asked) as answer:
            return answer.content.decode()

    def weights(
        self,
        path: Path | str,
        *,
        trial: str = "",
        on_progress: OnProgress = ignored,
        notify: Tell = silent,
    ) -> Path:
        """Download the encoder of a trial, in the format safetensors.

        An interrupted download is continued by the next call with the same path; the digest is
        checked, and an existing file is replaced as a whole.

        Args:
            path: The file to write.
            trial: Id of the trial, or its start; default: the one with the best encoder.
            on_progress: Called with the bytes that are here and the bytes of the whole.
            notify: Called once if the service is not reachable.

        Raises:
            InputError: There is no such trial, it has no weights yet, or the file cannot be
                written.
        """
        asked = {"trial": trial} if trial else {}
        return download(
            self.client,
            f"/jobs/{self.id}/weights",
            Path(path),
            asked=asked,
            on_progress=on_progress,
            notify=notify,
        )

    def cancel(self) -> str:
        """Cancel the job; results of its trials are kept."""
        return self._ask("cancel")

    def pause(self) -> str:
        """Stop the job until it is resumed."""
        return self._ask("pause")

    def resume(self) -> str:
        """Queue the job again after a pause."""
        return self._ask("resume")

    def retry(self, **limits: float) -> str:
        """Queue the job again after it has failed or was cancelled."""
        return self._ask("retry", json=limits)

    def reprioritise(self, priority: int) -> str:
        """Change the priority of the job."""
        change = {"priority": priority}
        return str(self.client.ask("PATCH", f"/jobs/{self.id}", json=change)["state"])

    def _ask(self, verb: str, **values: Any) -> str:
        return str(self.client.ask("POST", f"/jobs/{self.id}/{verb}", **values)["state"])


def submit(
    study: Study | Path | str | dict[str, Any],
    *,
    priority: int = 0,
    queue: str = "default",
    retries: int = 3,
    time_limit_s: float | None = None,
    gpu_hours: float | None = None,
    again: bool = False,
    how: JobOptions | None = None,
    service: str | None = None,
    token: str | None = None,
) -> Job:
    """Submit a study to the queue.

    Args:
        study: A study object, its values, or the path of a YAML file.
        priority: -100 to 100; higher goes first.
        queue: Name of the queue.
        retries: How often it is started again after its driver or the cluster was lost.
        time_limit_s: Limit on the running time of all attempts, seconds; None: no limit.
        gpu_hours: Limit on the GPU hours of its trials, or core hours without GPU; None: no limit.
        again: Queue it even if there is a job of the same study.
        how: Execution options of its trials.
        service: URL of the service; default: $HANDSSL_SERVICE, else this machine's.
        token: Token to authenticate with; default: $HANDSSL_TOKEN.

    Returns:
        The job; the existing one if there is a job of the same study.

    Raises:
        InputError: The study or an option has mistakes.
        ServiceError: The service is not reachable.

    Example:
        >>> submit({"name": "x"}, service="http://127.0.0.1:9")
        Traceback (most recent call last):
        handssl.errors.InputError: 1 mistake in Study:
          (top level): expected at least 1 cell, or stages (got {'name': 'x'})
    """
    asked = {
        "study": _values(study),
        "priority": priority,
        "queue": queue,
        "retries": retries,
        "time_limit_s": time_limit_s,
        "gpu_hours": gpu_hours,
        "again": again,
        "how": how or JobOptions(),
    }
    request = JobRequest.parse(asked, where="the job")
    request.checked()
    client = Client(service, token)
    [found] = client.submit([request])
    return Job(found["id"], found["study"], bool(found["is_new"]), client)


def _values(study: Study | Path | str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(study, Config):
        return study.model_dump(mode="json")
    if isinstance(study, dict):
        return study
    found = read_yaml(Path(study))
    if not isinstance(found, dict):
        raise InputError(f"{study}: expected the YAML of a study")
    return found
