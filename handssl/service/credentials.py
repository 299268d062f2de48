"""Secrets of the service's own: in files that nobody else can read, never in a job or a log.

This module must not import Ray, which reads its variables when it is imported.
"""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

from handssl.errors import DataError

USER = "handssl"
_MLFLOW = "mlflow_password"


def ray_token(folder: Path) -> dict[str, str]:
    """Return the variables that make a Ray and its clients use a token of the service's own."""
    file = folder / "ray_token"
    ensure_secret(file)
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


def mlflow_password(folder: Path) -> Path:
    """Return the file with the password of our own MLflow; it is there if it was ever guarded."""
    return folder / _MLFLOW


def mlflow_credentials(folder: Path) -> dict[str, str]:
    """Return what clients of the guarded MLflow server need in their environment, or nothing."""
    file = mlflow_password(folder)
    if not file.exists():
        return {}
    return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": file.read_text()}


def mlflow_export(folder: Path) -> str:
    """Return shell words that give a driver the same, wherever its Ray comes from.

    They name the file: the password itself is in no job. Where the driver's user may not read it,
    its environment stays as it is.
    """
    file = shlex.quote(str(mlflow_password(folder)))
    known = f'MLFLOW_TRACKING_USERNAME={USER} MLFLOW_TRACKING_PASSWORD="$(cat {file})"'
    return f"test ! -r {file} || export {known}; "


def make_private(folder: Path) -> None:
    """Make the folder of the service's own files, which nobody else can look into.

    Raises:
        DataError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from None


def ensure_secret(file: Path) -> None:
    """Make a secret in a file that nobody else can read, unless there is one.

    Raises:
        DataError: It cannot be written; no empty file, which would be taken for one, is left.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise _unwritable(file, error) from None
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
    except OSError as error:
        file.unlink()
        raise _unwritable(file, error) from None


def _unwritable(place: Path, error: OSError) -> DataError:
    return DataError(
        f"{place}: cannot be written ({error.strerror}); choose a storage that can be written, "
        "or free some space"
    )
