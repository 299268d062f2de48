"""File lock that serialises processes creating the same files."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from handssl.errors import DataError


@contextmanager
def one_at_a_time(file: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive file lock, after waiting for it; it is released when the process ends.

    Args:
        file: Lock file; created if missing and never removed: another process may wait for it.
        on_wait: Called if another process holds the lock.

    Raises:
        DataError: The folder is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with one_at_a_time(Path(folder) / "made.lock"):
        ...         print("mine")
        mine
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("a")
    except OSError as error:
        raise DataError(f"{file}: cannot be written: {error.strerror}") from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait:
                on_wait()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
