"""Errors of the service and its client."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handssl.errors import HandsslError, InputError


class NoSuchJobError(InputError):
    """There is no job with this id."""

    def __init__(self, name: str, listing: str = "handssl jobs list") -> None:
        super().__init__(f"job: expected the id of a job, got {name!r}; see `{listing}`")


class NotNowError(InputError):
    """The request is not possible in the job's current state."""

    def __init__(self, name: str, verb: str, state: str, allowed: Sequence[str]) -> None:
        states = ", ".join(allowed)
        super().__init__(f"job {name} is {state}; to {verb} it, it has to be {states}")


class NoResultsError(InputError):
    """The study has no results yet, or not the ones that were asked for."""

    def __init__(self, study: str, what: str = "results", why: str = "") -> None:
        super().__init__(
            f"study {study} has no {what} yet{f': {why}' if why else ''}; ask again later, "
            "`handssl jobs list` shows the state of its job"
        )


class NoSuchTrialError(InputError):
    """The study has no trial of this name."""

    def __init__(self, name: str, study: str, known: Sequence[str]) -> None:
        found = f"{len(known)} of them" if known else "none"
        super().__init__(
            f"trial: expected the id, or the start of the id, of one trial of study {study}, got "
            f"{name!r}, which is that of {found}"
        )


class TakenNameError(InputError):
    """The study's name belongs to another user."""

    def __init__(self, name: str, owner: str, user: str) -> None:
        free = re.sub(r"[^a-z0-9_-]", "-", f"{user.lower()}-{name}")[:64]
        super().__init__(
            f"study {name!r} belongs to {owner}: another study of that name would share its plan, "
            f"log and MLflow experiment; expected a different name, such as "
            f"`handssl submit STUDY --set name={free}`; equal trials are still run only once"
        )


class ForbiddenError(HandsslError):
    """The caller may not do this. Exit code 2, as 1 is that of a failed job."""

    exit_code = 2


class ServiceError(HandsslError):
    """The service cannot be reached, or its response is not valid."""

    exit_code = 69


class UnavailableError(ServiceError):
    """The service is not reachable at the moment, e.g. during a restart; try again later."""


class LostLeaseError(HandsslError):
    """Another service dispatches now."""


class UnauthorizedError(HandsslError):
    """The caller is not authenticated. Exit code 2, as 1 is that of a failed job."""

    exit_code = 2


class TooLargeError(InputError):
    """The request is too large."""
