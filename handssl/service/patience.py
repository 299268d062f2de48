"""Waiting for a job while its service is away: it may be started again, or another take over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from handssl.service.client import Client
from handssl.service.errors import UnavailableError

PATIENCE_S = 300.0
POLL_S = 1.0
Tell = Callable[[str], object]


def ask_patiently(
    client: Client, path: str, *, tell: Tell, until_s: float = math.inf, **values: Any
) -> Any:
    """Ask for what is known to be there, again and again while nobody answers.

    Args:
        client: Of the service.
        path: Of a GET.
        tell: Told once when nobody answers.
        until_s: Of `time.monotonic`; wait no longer.
        values: Of the request.

    Raises:
        UnavailableError: Nobody has answered for five minutes.
        TimeoutError: `until_s` has come.
    """
    since_s = math.inf
    while True:
        try:
            return client.ask("GET", path, **values)
        except UnavailableError as error:
            now_s = time.monotonic()
            if since_s == math.inf:
                since_s = now_s
                tell(f"{client.url} does not answer for now; asking on for {PATIENCE_S / 60:g} min")
            if now_s > until_s:
                raise TimeoutError(str(error)) from None
            if now_s - since_s > PATIENCE_S:
                raise
            time.sleep(POLL_S)


def silent(text: str) -> None:
    """Tell nobody."""
