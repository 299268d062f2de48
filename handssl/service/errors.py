"""What the service says no to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handssl.errors import HandsslError, InputError


class NoSuchJobError(InputError):
    """There is no job of this id."""

    def __init__(self, name: str, look: str = "handssl jobs list") -> None:
        super().__init__(f"job: expected the id of a job, got {name!r}; see `{look}`")


class NotNowError(InputError):
    """A job cannot be asked this in its state."""

    def __init__(self, name: str, verb: str, state: str, allowed: Sequence[str]) -> None:
        states = ", ".join(allowed)
        super().__init__(f"job {name} is {state}; to {verb} it, it has to be {states}")


class TakenNameError(InputError):
    """A study's name belongs to another user."""

    def __init__(self, name: str, owner: str, user: str) -> None:
        free = re.sub(r"[^a-z0-9_-]", "-", f"{user.lower()}-{name}")[:64]
        super().__init__(
            f"study {name!r} belongs to {owner}: another one of that name would share its plan, "
            f"log and MLflow experiment; expected a name of your own, such as "
            f"`handssl submit STUDY --set name={free}`; equal trials are still run only once"
        )


class ForbiddenError(HandsslError):
    """Who asks may not do this. Exit code 2, since 1 is that of a job that failed."""

    exit_code = 2


class ServiceError(HandsslError):
    """The service cannot be reached, or its answer is none."""

    exit_code = 69


class UnavailableError(ServiceError):
    """Nobody answers for now, as while a service is started again; to be asked again later."""


class LostLeaseError(HandsslError):
    """Another service dispatches now."""


class UnauthorizedError(HandsslError):
    """Who asks is not known. Exit code 2, since 1 is that of a job that failed."""

    exit_code = 2


class TooLargeError(InputError):
    """A request is larger than any study."""
