"""The address a service listens on, taken before anything else is started."""

from __future__ import annotations

import socket

from handssl.commands import command
from handssl.errors import InputError

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (names no machine)


def listen(host: str, port: int) -> socket.socket:
    """Take an address.

    Args:
        host: Name or IP address of this machine.
        port: 0: any that is free.

    Returns:
        A socket that listens; clients wait until somebody answers.

    Raises:
        InputError: Another program has it, or it is not of this machine.

    Example:
        >>> with listen("127.0.0.1", 0) as taken:
        ...     taken.getsockname()[0]
        '127.0.0.1'
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address once more
        here = "127.0.0.1" if host in EVERYWHERE else host
        look = command("jobs", "list", service=f"http://{here}:{port}")
        raise InputError(
            f"--port: expected an address that is free, got {host}:{port} ({reason}). Another "
            f"service may run there, see `{look}`; or name another port"
        ) from None
