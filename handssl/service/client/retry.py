"""Retries of requests while the service is not reachable, e.g. during a restart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from handssl.service.client.http_client import Client
from handssl.service.errors import UnavailableError

PATIENCE_S = 300.0
POLL_S = 1.0
Tell = Callable[[str], object]


def ask_patiently(
    client: Client, path: str, *, notify: Tell, until_s: float = math.inf, **values: Any
) -> Any:
    """Send a GET request, and repeat it while the service is not reachable.

    Args:
        client: Client of the service.
        path: Path of the request.
        notify: Called once with a message when the service is not reachable.
        until_s: Time of `time.monotonic` at which to stop waiting.
        values: Further arguments of the request.

    Raises:
        UnavailableError: The service was not reachable for five minutes.
        TimeoutError: `until_s` has passed.
    """
    since_s = math.inf
    while True:
        try:
            return client.ask("GET", path, **values)
        except UnavailableError as error:
            now_s = time.monotonic()
            if since_s == math.inf:
                since_s = now_s
                notify(
                    f"{client.url} does not answer for now; retrying for {PATIENCE_S / 60:g} min"
                )
            if now_s > until_s:
                raise TimeoutError(str(error)) from None
            if now_s - since_s > PATIENCE_S:
                raise
            time.sleep(POLL_S)


def silent(text: str) -> None:
    """Ignore a message."""
