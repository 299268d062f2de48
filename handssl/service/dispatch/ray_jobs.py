"""Attempts as Ray jobs: submitted once under the attempt's id, queried, stopped."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from handssl.errors import HandsslError

# A driver that receives SIGTERM ends after its epoch; Ray kills it after this time.
STOP_WAIT_S = 120
ANSWER_S = 10.0  # timeout of a request to Ray
_OVER = ("STOPPED", "SUCCEEDED", "FAILED")
# Only paths: secrets are in the environment of Ray's head, and in no job.
_PASSED_ON = ("HANDSSL_PLACES",)
State = Literal["unknown", "running", "stopped", "over"]


class UnreachableError(HandsslError):
    """Ray is not reachable at the moment."""


@dataclass(frozen=True)
class Attempt:
    """State of a submission in Ray.

    Attributes:
        state: State; `unknown` if Ray has no record of it.
        code: Exit code of the driver, None while it runs or if it was killed.
        message: Message of Ray.
        ran_s: Running time of the driver, seconds.
    """

    state: State
    code: int | None = None
    message: str = ""
    ran_s: float = 0.0


class Cluster(Protocol):
    """Cluster on which attempts run."""

    def attempt(self, submission: str) -> Attempt:
        """Return the state of a submission; raise UnreachableError if Ray is not reachable."""

    def submit(self, submission: str, entrypoint: str, metadata: dict[str, str]) -> None:
        """Start a driver; raise UnreachableError if Ray is not reachable or refuses it."""

    def stop(self, submission: str) -> None:
        """Ask a driver to stop; returns at once."""


class RayJobs:
    """The job server of a Ray cluster.

    Args:
        url: URL of its dashboard, `http://HOST:8265`, or `auto`. Ray reads the token from
            RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def dashboard(self) -> str:
        """URL of the dashboard, empty while Ray has not been found yet."""
        client = self.__dict__.get("_client")
        return self.url if self.url != "auto" else client.get_address() if client else ""

    def attempt(self, submission: str) -> Attempt:
        """Return the state of a submission."""
        try:
            info = self._client.get_job_info(submission)
        except Exception as error:  # errors of its client, of HTTP, or of the token
            if "status code 404" in str(error) and "does not exist" in str(error):
                return Attempt("unknown")
            raise self._unreachable(error) from None
        status, code, message = str(info.status), info.driver_exit_code, info.message or ""
        if status not in _OVER:
            return Attempt("running", ran_s=_ran_s(info))
        state: State = "stopped" if status == "STOPPED" else "over"
        return Attempt(state, code, message, _ran_s(info))

    def submit(self, submission: str, entrypoint: str, metadata: dict[str, str]) -> None:
        """Start a driver unless it was started already."""
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), "PYTHONUNBUFFERED": "1"}
        variables |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=submission,
                runtime_env={"env_vars": variables},
                metadata=metadata,
            )
        except Exception as error:
            # Ray rejects a second submission with an error; the first one has started it.
            if self.attempt(submission).state == "unknown":
                raise self._unreachable(error) from None

    def stop(self, submission: str) -> None:
        """Send SIGTERM to a driver, and SIGKILL if it has not ended after STOP_WAIT_S."""
        try:
            self._client.stop_job(submission)
        except Exception as error:
            raise self._unreachable(error) from None

    @cached_property
    def _client(self) -> Any:
        from ray.job_submission import JobSubmissionClient

        class Client(JobSubmissionClient):  # type: ignore[misc]
            """Client with a request timeout."""

            def _do_request(self, *words: Any, **values: Any) -> Any:
                return super()._do_request(*words, **{"timeout": ANSWER_S, **values})

        return Client(None if self.url == "auto" else self.url)

    def _unreachable(self, error: Exception) -> UnreachableError:
        self.__dict__.pop("_client", None)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return UnreachableError(f"Ray at {self.url} does not answer: {reason[:300]}")


def _ran_s(info: Any) -> float:
    """Return the running time of a driver in seconds, by Ray's clock; 0 if it has not started."""
    start_ms, end_ms = info.start_time, info.end_time or time.time() * 1000
    return max(0.0, (end_ms - start_ms) / 1000) if start_ms else 0.0
