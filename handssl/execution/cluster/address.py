"""Address of the Ray cluster a command uses, from its option or else its environment."""

from __future__ import annotations

import os

from handssl.errors import InputError
from handssl.study.events import OnEvent, StudyMessage

VARIABLE, LOCAL = "RAY_ADDRESS", "local"


def resolve_address(address: str | None, on_event: OnEvent) -> str | None:
    """Return the address of the cluster to connect to: the argument, else $RAY_ADDRESS.

    That is the convention of `ray.init`; Ray sets the variable in every job.

    Args:
        address: The caller's choice; `local` starts a local Ray, whatever the environment says.
        on_event: Called with a note if the address comes from the environment.

    Returns:
        The address; None to start a local Ray.

    Raises:
        InputError: The variable holds a URL, which is the address of a dashboard.

    Example:
        >>> resolve_address("auto", print), resolve_address("local", print)
        ('auto', None)
    """
    if address is not None:
        return None if address == LOCAL else address
    found = os.environ.get(VARIABLE)
    if not found or found == LOCAL:
        return None
    if found.startswith(("http://", "https://")):
        raise InputError(
            f"${VARIABLE}: expected HOST:PORT of a Ray cluster or auto, got {found}, a dashboard; "
            "`ray job submit` finds it in RAY_API_SERVER_ADDRESS too: "
            f"export RAY_API_SERVER_ADDRESS={found}; unset {VARIABLE}"
        )
    on_event(
        StudyMessage(f"uses the Ray cluster at {found} (${VARIABLE}); --address local starts one")
    )
    return found
