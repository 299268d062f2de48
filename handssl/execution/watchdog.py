"""Watchdog for work that may hang: kills its process and writes where every thread was."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handssl.runtime.fencing import Fence, held

SILENCE_FILE = "silence.txt"


@contextmanager
def watchdog(folder: Path, limit_s: float, fence: Fence | None = None) -> Iterator[None]:
    """Kill this process if the block takes too long.

    A C thread of `faulthandler` does it without the GIL, so code that never releases the GIL is
    killed too. The stack of every thread is then written to the folder.

    Args:
        folder: Folder of the stack traces, created if missing; no file is left if the block ends
            in time.
        limit_s: Time limit in seconds.
        fence: Fence of the folder.

    Raises:
        TakenOverError: Another process has claimed the folder, before the block or within it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, watchdog(Path(folder), 60.0):
        ...     pass
    """
    path = folder / SILENCE_FILE
    with held(fence):
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # an earlier process may still have the file open
        file = path.open("w", encoding="utf-8")
    with file:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            with held(fence):
                path.unlink(missing_ok=True)
