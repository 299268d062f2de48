"""The jobs of our own Ray, which may be started again at another address."""

from __future__ import annotations

from handssl.service.companion import Companion
from handssl.service.ray_jobs import Attempt, RayJobs, UnreachableError


class LocalRay:
    """Our own Ray, under the address it has now.

    Args:
        companion: It.
    """

    def __init__(self, companion: Companion) -> None:
        self._companion, self._jobs = companion, RayJobs("")

    @property
    def dashboard(self) -> str:
        """Its address, empty before it was started."""
        return self._companion.url

    def attempt(self, submission: str) -> Attempt:
        """Return what it knows of a submission."""
        return self._now().attempt(submission)

    def submit(self, submission: str, entrypoint: str, metadata: dict[str, str]) -> None:
        """Start a driver."""
        self._now().submit(submission, entrypoint, metadata)

    def stop(self, submission: str) -> None:
        """Tell a driver to end."""
        self._now().stop(submission)

    def _now(self) -> RayJobs:
        url = self._companion.url
        if not url:
            raise UnreachableError("Ray has not been started yet")
        if url != self._jobs.url:
            self._jobs = RayJobs(url)
        return self._jobs
