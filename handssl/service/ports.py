"""The address on which a service listens, bound before anything else is started."""

from __future__ import annotations

import socket

from handssl.errors import InputError
from handssl.runtime.shell_commands import command

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound here)


def listen(host: str, port: int) -> socket.socket:
    """Bind an address and listen on it.

    Args:
        host: Name or IP address of this machine.
        port: Port number; 0: any free port.

    Returns:
        A listening socket; clients wait until it accepts connections.

    Raises:
        InputError: Another program uses it, or it is not an address of this machine.

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
        listing = command("jobs", "list", service=f"http://{here}:{port}")
        raise InputError(
            f"--port: expected a free address, got {host}:{port} ({reason}). Another service may "
            f"run there, see `{listing}`; or choose another port"
        ) from None
