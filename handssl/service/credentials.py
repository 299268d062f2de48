"""Secrets of the service's own: in files that nobody else can read, never in a job or a log.

This module must not import Ray, which reads its variables when it is imported.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

USER = "handssl"


def ray_token(folder: Path) -> dict[str, str]:
    """Return the variables that make a Ray and its clients use a token of the service's own."""
    file = folder / "ray_token"
    ensure_secret(file)
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


def mlflow_credentials(folder: Path) -> dict[str, str]:
    """Return what clients of the guarded MLflow server need in their environment, or nothing."""
    file = folder / "mlflow_password"
    if not file.exists():
        return {}
    return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": file.read_text()}


def ensure_secret(file: Path) -> None:
    """Make a secret in a file that nobody else can read, unless there is one."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(32))
