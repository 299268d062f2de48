"""Formats of configurations and stores for MLflow; does not import MLflow."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handssl.runtime.secrets import masked_url
from handssl.runtime.sqlite_url import sqlite_path


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values under dotted names, as text.

    Args:
        values: E.g. a resolved configuration.
        prefix: Prepended to every name.

    Example:
        >>> flatten({"encoder": {"width": 64}, "composition": ["rotate"]})
        {'encoder.width': '64', 'composition': "['rotate']"}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def artifact_location(tracking_uri: str) -> str | None:
    """Return the artifact location of a SQLite store, beside it; None for a server, which decides.

    Args:
        tracking_uri: URI of the store.

    Example:
        >>> artifact_location("sqlite:////runs/mlflow.db")
        'file:///runs/mlartifacts'
    """
    file = sqlite_path(tracking_uri)
    return None if file is None else (file.resolve().parent / "mlartifacts").as_uri()


def ui_command(tracking_uri: str) -> str:
    """Return the command that opens the MLflow UI on a store.

    Args:
        tracking_uri: URI of the store; for a server, the page to open.

    Example:
        >>> ui_command("sqlite:////my runs/mlflow.db").split(" ui ")[1]
        "--backend-store-uri 'sqlite:////my runs/mlflow.db'"
    """
    tracking_uri = masked_url(tracking_uri)
    if tracking_uri.startswith(("http://", "https://")):
        return f"open {tracking_uri} in a browser"
    return mlflow_command("ui", "--backend-store-uri", tracking_uri)


def mlflow_command(*words: str) -> str:
    """Return a command line of this installation's MLflow for a shell."""
    return shlex.join([str(Path(sys.executable).with_name("mlflow")), *words])
