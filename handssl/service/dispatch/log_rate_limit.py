"""Rate limit for repeated log messages."""

from __future__ import annotations

import logging
import time

_EACH_S = 60.0
_MOST = 1000  # maximum number of remembered messages


class Seldom(logging.Filter):
    """Passes the same message once a minute, with the number of messages left out.

    Messages are the same if they differ only in their arguments, and if their exceptions have the
    same type and text.

    Example:
        >>> seldom, said = Seldom(), logging.LogRecord("a", 30, "", 1, "again", (), None)
        >>> [seldom.filter(said) for _ in range(3)]
        [True, False, False]
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is logged."""
        error = record.exc_info[1] if record.exc_info else None
        key, now_s = (record.msg, repr(error)), time.monotonic()
        last_s, left_out = self._known.get(key, (-_EACH_S, 0))
        if now_s - last_s < _EACH_S:
            self._known[key] = last_s, left_out + 1
            return False
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = now_s, 0
        if left_out:
            record.msg = f"{record.msg} ({left_out} more since the last time)"
        return True
