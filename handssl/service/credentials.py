"""Secrets of the service: in files that no other user can read, never in a job or a log.

This module must not import Ray, which reads its variables when it is imported.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from handssl.private_files import ensure_secret

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
