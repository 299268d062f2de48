"""Jobs of the service's own Ray, which may restart at another address."""

from __future__ import annotations

from handssl.service.dispatch.managed_subprocess import ManagedSubprocess
from handssl.service.dispatch.ray_jobs import Attempt, RayJobs, UnreachableError


class LocalRay:
    """The service's own Ray, at its current address.

    Args:
        companion: The managed Ray head process.
    """

    def __init__(self, companion: ManagedSubprocess) -> None:
        self._companion, self._jobs = companion, RayJobs("")

    @property
    def dashboard(self) -> str:
        """URL of its dashboard, empty before it was started."""
        return self._companion.url

    def attempt(self, submission: str) -> Attempt:
        """Return the state of a submission."""
        return self._now().attempt(submission)

    def submit(self, submission: str, entrypoint: str, metadata: dict[str, str]) -> None:
        """Start a driver."""
        self._now().submit(submission, entrypoint, metadata)

    def stop(self, submission: str) -> None:
        """Ask a driver to stop."""
        self._now().stop(submission)

    def _now(self) -> RayJobs:
        url = self._companion.url
        if not url:
            raise UnreachableError("Ray has not been started yet")
        if url != self._jobs.url:
            self._jobs = RayJobs(url)
        return self._jobs
