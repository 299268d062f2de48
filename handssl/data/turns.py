"""Processes that would make the same files take turns: the second finds them made."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from handssl.errors import DataError


@contextmanager
def one_at_a_time(file: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock, waiting for whoever holds it; the system lets go when the process ends.

    Args:
        file: Made if it is not there, and never removed: another process may wait at it.
        on_wait: Called if somebody else holds it.

    Raises:
        DataError: The folder cannot be written.

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
