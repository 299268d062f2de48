"""Attempts as Ray jobs: submitted once under an id of ours, looked at, stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from handssl.errors import HandsslError

# A driver ends after its epoch when it is told to; Ray kills it after so long.
STOP_WAIT_S = 120
_OVER = ("STOPPED", "SUCCEEDED", "FAILED")
# Paths alone: secrets are in the environment of Ray's head, and in no job.
_PASSED_ON = ("HANDSSL_PLACES",)


class UnreachableError(HandsslError):
    """Ray does not answer now."""


@dataclass(frozen=True)
class Attempt:
    """What Ray knows of a submission.

    Attributes:
        state: `unknown` if it has never heard of it, or has forgotten.
        code: Exit code of the driver, None while it runs or where it was killed.
        message: Of Ray.
    """

    state: Literal["unknown", "running", "stopped", "over"]
    code: int | None = None
    message: str = ""


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
        except RuntimeError as error:
            if "404" in str(error) or "does not exist" in str(error):
                return Attempt("unknown")
            raise self._unreachable(error) from None
        except (OSError, ValueError) as error:
            raise self._unreachable(error) from None
        status, code, message = str(info.status), info.driver_exit_code, info.message or ""
        if status not in _OVER:
            return Attempt("running")
        return Attempt("stopped" if status == "STOPPED" else "over", code, message)

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
        except (RuntimeError, OSError, ValueError) as error:
            # Ray answers a second submission with an error; who came first has started it.
            if self.attempt(submission).state == "unknown":
                raise self._unreachable(error) from None

    def stop(self, submission: str) -> None:
        """Send SIGTERM to a driver, and SIGKILL when it has not ended in STOP_WAIT_S."""
        try:
            self._client.stop_job(submission)
        except (RuntimeError, OSError, ValueError) as error:
            raise self._unreachable(error) from None

    @cached_property
    def _client(self) -> Any:
        from ray.job_submission import JobSubmissionClient

        return JobSubmissionClient(None if self.url == "auto" else self.url)

    def _unreachable(self, error: Exception) -> UnreachableError:
        self.__dict__.pop("_client", None)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return UnreachableError(f"Ray at {self.url} does not answer: {reason[:300]}")
