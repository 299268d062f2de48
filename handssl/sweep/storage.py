"""Where a study's results are kept, and that one study at a time writes there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handssl.errors import InputError

DEFAULT_STORAGE = Path("handssl-runs")


def resolve_storage(storage: Path | str | None = None) -> Path:
    """Return the absolute storage folder: the argument, else HANDSSL_HOME, else ./handssl-runs.

    Args:
        storage: What the caller asked for.

    Example:
        >>> resolve_storage("/tmp/runs").name
        'runs'
    """
    chosen = storage or os.environ.get("HANDSSL_HOME") or DEFAULT_STORAGE
    return Path(chosen).expanduser().resolve()


def default_tracking_uri(storage: Path) -> str:
    """Return the MLflow store that belongs to a storage folder."""
    return f"sqlite:///{storage / 'mlflow.db'}"


@contextmanager
def locked(storage: Path) -> Iterator[None]:
    """Hold the storage for one writer; the operating system lets go when the process ends.

    Args:
        storage: Created if it is not there.

    Raises:
        InputError: The folder cannot be written, or another process holds it.
    """
    try:
        storage.mkdir(parents=True, exist_ok=True)
        file = (storage / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{storage}: expected a folder to write results to, cannot use it "
            f"({error.strerror}); choose another with --storage"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InputError(_held(storage, file.read().strip())) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _held(storage: Path, pid: str) -> str:
    return (
        f"{storage}: another run writes here (process {pid or 'unknown'}); "
        "wait until it ends, stop it with Ctrl-C, or choose another folder with --storage"
    )
