"""A port number that a program keeps over restarts."""

from __future__ import annotations

import time
from pathlib import Path

from handssl.errors import InputError
from handssl.service.ports import listen

_WAIT_S = 5.0
_LOOK_S = 0.1


class PersistentPort:
    """A port number stored in a file.

    Args:
        file: File with the number.
        host: Address on which the program listens.

    Example:
        >>> import tempfile
        >>> kept = PersistentPort(Path(tempfile.mkdtemp()) / "port", "127.0.0.1")
        >>> kept.number, kept.keep(8643), kept.number
        (None, None, 8643)
    """

    def __init__(self, file: Path, host: str) -> None:
        self._file, self._host = file, host

    @property
    def number(self) -> int | None:
        """The port, None before there is one."""
        try:
            found = int(self._file.read_text())
        except (OSError, ValueError):
            return None
        return found if 0 < found < 65536 else None

    def keep(self, port: int) -> None:
        """Store a port to be used from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(str(port))
        new.rename(self._file)

    def take(self, offered: int, *, wait_s: float = _WAIT_S) -> int:
        """Return the stored port if it is free, else the offered one, which is stored then.

        Args:
            offered: Another port, which is free.
            wait_s: How long to wait for the earlier program to free the port, seconds.
        """
        until_s, port = time.monotonic() + wait_s, self.number
        while port and not self._is_free(port):
            if time.monotonic() >= until_s:
                port = None
            else:
                time.sleep(_LOOK_S)
        if not port:
            self.keep(offered)
        return port or offered

    def _is_free(self, port: int) -> bool:
        try:
            listen(self._host, port).close()
        except InputError:
            return False
        return True
