"""A watch over work that may hang: its process is ended, and leaves word of where it was."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SILENCE_FILE = "silence.txt"


@contextmanager
def watched(folder: Path, limit_s: float) -> Iterator[None]:
    """End this process if the block takes too long.

    A thread of the interpreter's own does it, which needs no lock of Python's: so also code that
    never gives that lock back is ended. What every thread was doing stands in the folder then.

    Args:
        folder: Created if missing; holds no trace of a block that ends in time.
        limit_s: Seconds.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, watched(Path(folder), 60.0):
        ...     pass
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SILENCE_FILE
    with path.open("w", encoding="utf-8") as file:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            path.unlink()
