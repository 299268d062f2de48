"""A watch over work that may hang: its process is ended, and leaves word of where it was."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handssl.fencing import Fence, held

SILENCE_FILE = "silence.txt"


@contextmanager
def watched(folder: Path, limit_s: float, fence: Fence | None = None) -> Iterator[None]:
    """End this process if the block takes too long.

    A thread of the interpreter's own does it, which needs no lock of Python's: so also code that
    never gives that lock back is ended. What every thread was doing stands in the folder then.

    Args:
        folder: Created if missing; holds no trace of a block that ends in time.
        limit_s: Seconds.
        fence: Around the folder.

    Raises:
        TakenOverError: The folder was claimed by another, before the block or within it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, watched(Path(folder), 60.0):
        ...     pass
    """
    path = folder / SILENCE_FILE
    with held(fence):
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # an earlier process may have the file open still
        file = path.open("w", encoding="utf-8")
    with file:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            with held(fence):
                path.unlink(missing_ok=True)
