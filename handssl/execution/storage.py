"""Storage folder of results, and its lock against concurrent writers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handssl.errors import DataError, InputError
from handssl.runtime.shell_commands import default_storage
from handssl.runtime.sqlite_url import sqlite_url


def resolve_storage(storage: Path | str | None = None) -> Path:
    """Return the absolute storage folder: the argument, else HANDSSL_HOME, else ./handssl-runs.

    Args:
        storage: The folder given by the caller, if any.

    Raises:
        InputError: No folder is given in a Ray job, whose working folder Ray deletes.

    Example:
        >>> resolve_storage("/tmp/runs").name
        'runs'
    """
    if not (storage or os.environ.get("HANDSSL_HOME")) and _is_ray_job():
        raise InputError(
            "--storage: expected a folder that all nodes see, got none in a Ray job, whose own "
            "folder is deleted after it; add --storage /shared/handssl, or submit the job with "
            """--runtime-env-json '{"env_vars": {"HANDSSL_HOME": "/shared/handssl"}}'"""
        )
    return Path(storage).expanduser().resolve() if storage else default_storage()


def _is_ray_job() -> bool:
    """Return whether this is a process of Ray: a job's entrypoint, or a worker."""
    # Ray 2.60 sets the first for entrypoints, from which it removes the second.
    return any(name in os.environ for name in ("RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_JOB_ID"))


def default_tracking_uri(storage: Path) -> str:
    """Return the MLflow store that belongs to a storage folder."""
    return sqlite_url(storage / "mlflow.db")


@contextmanager
def locked(storage: Path, *, shared: bool = False) -> Iterator[None]:
    """Lock the storage; the operating system releases the lock when the process ends.

    Args:
        storage: Folder of the results, created if it doesn't exist.
        shared: Whether other processes may share the lock; used by studies, which claim each trial
            before they run it.

    Raises:
        InputError: The folder cannot be written, or another process holds it.
    """
    from handssl.training.checkpoints import RunLock  # imports torch, not needed for look-ups

    try:
        lock = RunLock(storage, shared=shared)
    except DataError as error:
        raise InputError(f"{error}; choose another folder with --storage") from None
    except InputError as error:
        raise InputError(f"{error} with --storage") from None
    with lock:
        yield
