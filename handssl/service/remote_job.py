"""The queue from Python: `handssl.submit(study)`, and the job that it returns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handssl.config import Config, read_yaml
from handssl.errors import InputError
from handssl.service import patience
from handssl.service.client import Client
from handssl.service.job import ENDED, How, JobRequest
from handssl.service.patience import Tell, ask_patiently, silent

if TYPE_CHECKING:
    from handssl.sweep.study import Study


@dataclass
class Job:
    """A job of the queue.

    Attributes:
        id: Its id.
        study: Name of its study.
        is_new: False where the same study was there already.
        client: Of the service.
    """

    id: str
    study: str
    is_new: bool
    client: Client

    def document(self, *, tell: Tell | None = None) -> dict[str, Any]:
        """Return all there is to it: job, progress, history, study, links.

        Args:
            tell: As of `wait`; None: if nobody answers, it is not asked again.
        """
        path = f"/jobs/{self.id}"
        if tell is None:
            return dict(self.client.ask("GET", path))
        return dict(ask_patiently(self.client, path, tell=tell))

    def status(self) -> str:
        """Return its state: queued, running, paused, succeeded, failed or cancelled."""
        return str(self.document()["job"]["state"])

    def wait(
        self, timeout_s: float | None = None, *, show: Tell = silent, tell: Tell = silent
    ) -> str:
        """Return its state when it is over.

        While nobody answers, as when the service is started again, it is asked again, for five
        minutes of silence at most. Whoever stops waiting does not stop the job.

        Args:
            timeout_s: Wait so long at most; None: for ever.
            show: Called with each piece of its log.
            tell: Called once when nobody answers.

        Returns:
            succeeded, failed or cancelled.

        Raises:
            TimeoutError: It is not over then.
            UnavailableError: Nobody has answered for too long.
        """
        state = ""
        for text, now in self._pieces(timeout_s, tell):
            state = now
            if text:
                show(text)
        return state

    def follow(self, timeout_s: float | None = None, *, tell: Tell = silent) -> Iterator[str]:
        """Yield its log as it is written, until it is over.

        Args:
            timeout_s: As of `wait`.
            tell: Likewise.

        Raises:
            TimeoutError: It is not over then.
            UnavailableError: Nobody has answered for too long.
        """
        return (text for text, _ in self._pieces(timeout_s, tell) if text)

    def _pieces(self, timeout_s: float | None, tell: Tell) -> Iterator[tuple[str, str]]:
        """Yield pieces of its log, each with the state at that time; the last state is final."""
        until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        path, offset = f"/jobs/{self.id}/log", 0
        while True:
            asked = {"offset": offset}
            piece = ask_patiently(self.client, path, tell=tell, until_s=until_s, params=asked)
            offset = piece["offset"]
            yield str(piece["text"]), str(piece["state"])
            if piece["text"]:
                continue
            if piece["state"] in ENDED:
                return
            if time.monotonic() > until_s:
                raise TimeoutError(f"job {self.id} is {piece['state']} after {timeout_s:g} s")
            time.sleep(patience.POLL_S)

    def logs(self) -> str:
        """Return its log so far."""
        text, offset = "", 0
        while True:
            piece = self.client.ask("GET", f"/jobs/{self.id}/log", params={"offset": offset})
            if not piece["text"]:
                return text
            text, offset = text + piece["text"], piece["offset"]

    def cancel(self) -> str:
        """End it; what its trials have done is kept."""
        return self._ask("cancel")

    def pause(self) -> str:
        """Stop it until it is resumed."""
        return self._ask("pause")

    def resume(self) -> str:
        """Queue it again after a pause."""
        return self._ask("resume")

    def retry(self, **limits: float) -> str:
        """Queue it again after it has failed or was cancelled."""
        return self._ask("retry", json=limits)

    def reprioritise(self, priority: int) -> str:
        """Give it another priority."""
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
    how: How | None = None,
    service: str | None = None,
    token: str | None = None,
) -> Job:
    """Hand a study to the queue.

    Args:
        study: An object, its values, or a YAML file.
        priority: -100 to 100; higher goes first.
        queue: Which one.
        retries: How often it is started again after its driver or the cluster was lost.
        time_limit_s: Running time of all attempts.
        gpu_hours: What its trials may use, of cores where there is no GPU.
        again: Queue it although the same study is there.
        how: What its trials are given.
        service: URL; default: $HANDSSL_SERVICE, else this machine's.
        token: Default: $HANDSSL_TOKEN.

    Returns:
        The job; the existing one where the same study is there.

    Raises:
        InputError: The study has mistakes, or what is asked for it.
        ServiceError: Nobody answers.

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
        "how": how or How(),
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
