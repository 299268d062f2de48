"""Where results are kept, and who may write there at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handssl.commands import default_storage
from handssl.errors import DataError, InputError
from handssl.tracking.sqlite_url import sqlite_url


def resolve_storage(storage: Path | str | None = None) -> Path:
    """Return the absolute storage folder: the argument, else HANDSSL_HOME, else ./handssl-runs.

    Args:
        storage: What the caller asked for.

    Example:
        >>> resolve_storage("/tmp/runs").name
        'runs'
    """
    return Path(storage).expanduser().resolve() if storage else default_storage()


def default_tracking_uri(storage: Path) -> str:
    """Return the MLflow store that belongs to a storage folder."""
    return sqlite_url(storage / "mlflow.db")


@contextmanager
def locked(storage: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the storage; the operating system lets go when the process ends.

    Args:
        storage: Created if it is not there.
        shared: With others that share it: studies, which claim each trial before they run it.

    Raises:
        InputError: The folder cannot be written, or another process holds it.
    """
    from handssl.training.checkpoints import RunLock  # with torch, which looking up needs not

    try:
        lock = RunLock(storage, shared=shared)
    except DataError as error:
        raise InputError(f"{error}; choose another folder with --storage") from None
    except InputError as error:
        raise InputError(f"{error} with --storage") from None
    with lock:
        yield
