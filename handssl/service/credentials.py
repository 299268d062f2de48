"""Secrets of the service, in files that no other user can read, never in a job or a log.

This module must not import Ray, which reads its variables when it is imported.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from handssl.runtime.private_files import ensure_secret

USER = "handssl"
_MLFLOW = "mlflow_password"


def ray_token(folder: Path) -> dict[str, str]:
    """Return the environment variables that make Ray and its clients use the service's token."""
    file = folder / "ray_token"
    ensure_secret(file)
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


def mlflow_password(folder: Path) -> Path:
    """Return the file with the password of the service's own MLflow; it exists if it needs one."""
    return folder / _MLFLOW


def mlflow_credentials(folder: Path) -> dict[str, str]:
    """Return the environment variables for clients of an MLflow server with password, else none."""
    file = mlflow_password(folder)
    if not file.exists():
        return {}
    return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": file.read_text()}


def mlflow_export(folder: Path) -> str:
    """Return a shell command that sets the same variables for a driver in any Ray cluster.

    It names the file, so that no job holds the password itself. If the driver's user may not read
    the file, its environment is not changed.
    """
    file = shlex.quote(str(mlflow_password(folder)))
    known = f'MLFLOW_TRACKING_USERNAME={USER} MLFLOW_TRACKING_PASSWORD="$(cat {file})"'
    return f"test ! -r {file} || export {known}; "
