"""Attempts as Ray jobs: submitted once under an id of ours, looked at, stopped."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from handssl.errors import HandsslError

# A driver ends after its epoch when it is told to; Ray kills it after so long.
STOP_WAIT_S = 120
ANSWER_S = 10.0  # a Ray that keeps silent for longer does not answer
_OVER = ("STOPPED", "SUCCEEDED", "FAILED")
# Paths alone: secrets are in the environment of Ray's head, and in no job.
_PASSED_ON = ("HANDSSL_PLACES",)
State = Literal["unknown", "running", "stopped", "over"]


class UnreachableError(HandsslError):
    """Ray does not answer now."""


@dataclass(frozen=True)
class Attempt:
    """What Ray knows of a submission.

    Attributes:
        state: `unknown` if it has never heard of it, or has forgotten.
        code: Exit code of the driver, None while it runs or where it was killed.
        message: Of Ray.
        ran_s: How long its driver has run.
    """

    state: State
    code: int | None = None
    message: str = ""
    ran_s: float = 0.0


class Cluster(Protocol):
    """Where attempts run."""

    def attempt(self, submission: str) -> Attempt:
        """Return what is known of a submission; raise UnreachableError if nobody answers."""

    def submit(self, submission: str, entrypoint: str, metadata: dict[str, str]) -> None:
        """Start it; raise UnreachableError if nobody answers, InputError if it is refused."""

    def stop(self, submission: str) -> None:
        """Tell it to end; returns at once."""


class RayJobs:
    """The job server of a Ray cluster.

    Args:
        url: Of its dashboard, `http://HOST:8265`. Its token is found as Ray finds it: in
            RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def dashboard(self) -> str:
        """Its address, empty while Ray has not been found yet."""
        client = self.__dict__.get("_client")
        return self.url if self.url != "auto" else client.get_address() if client else ""

    def attempt(self, submission: str) -> Attempt:
        """Return what Ray knows of a submission."""
        try:
            info = self._client.get_job_info(submission)
        except Exception as error:  # of its client, of HTTP, of a token
            if "status code 404" in str(error) and "does not exist" in str(error):
                return Attempt("unknown")
            raise self._unreachable(error) from None
        status, code, message = str(info.status), info.driver_exit_code, info.message or ""
        if status not in _OVER:
            return Attempt("running", ran_s=_ran_s(info))
        state: State = "stopped" if status == "STOPPED" else "over"
        return Attempt(state, code, message, _ran_s(info))

    def submit(self, submission: str, entrypoint: str, metadata: dict[str, str]) -> None:
        """Start a driver, unless it was started already."""
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
            # Ray answers a second submission with an error; who came first has started it.
            if self.attempt(submission).state == "unknown":
                raise self._unreachable(error) from None

    def stop(self, submission: str) -> None:
        """Send SIGTERM to a driver, and SIGKILL when it has not ended in STOP_WAIT_S."""
        try:
            self._client.stop_job(submission)
        except Exception as error:
            raise self._unreachable(error) from None

    @cached_property
    def _client(self) -> Any:
        from ray.job_submission import JobSubmissionClient

        class Client(JobSubmissionClient):  # type: ignore[misc]
            """Waits for no answer for ever."""

            def _do_request(self, *words: Any, **values: Any) -> Any:
                return super()._do_request(*words, **{"timeout": ANSWER_S, **values})

        return Client(None if self.url == "auto" else self.url)

    def _unreachable(self, error: Exception) -> UnreachableError:
        self.__dict__.pop("_client", None)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return UnreachableError(f"Ray at {self.url} does not answer: {reason[:300]}")


def _ran_s(info: Any) -> float:
    """Return how long a driver has run, by Ray's clock as far as it tells."""
    start_ms, end_ms = info.start_time, info.end_time or time.time() * 1000
    return max(0.0, (end_ms - start_ms) / 1000) if start_ms else 0.0
