"""Command lines printed for users to paste: quoted, and with all options they depend on."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

STORAGE_VARIABLE, SERVICE_VARIABLE = "HANDSSL_HOME", "HANDSSL_SERVICE"
DEFAULT_SERVICE = "http://127.0.0.1:8642"


def default_storage() -> Path:
    """Return the storage of a command without --storage: HANDSSL_HOME, else ./handssl-runs."""
    return Path(os.environ.get(STORAGE_VARIABLE) or "handssl-runs").expanduser().resolve()


def default_service() -> str:
    """Return the service of a command without --service: HANDSSL_SERVICE, else this machine's."""
    return os.environ.get(SERVICE_VARIABLE) or DEFAULT_SERVICE


def command(*words: object, storage: Path | None = None, service: str | None = None) -> str:
    """Return a command line of handssl for a shell.

    Args:
        words: The verb and its arguments.
        storage: Folder of the results; left out if it is the default. None: the verb has none.
        service: URL of the service; left out if it is the default. None: the verb has none.

    Example:
        >>> found = command("study", "status", "my study.yaml", storage=Path("/runs"))
        >>> found.endswith("study status 'my study.yaml' --storage /runs")
        True
    """
    line = [*program(), *map(str, words)]
    if storage is not None and storage.resolve() != default_storage():
        line += ["--storage", str(storage.resolve())]
    if service is not None and service.rstrip("/") != default_service().rstrip("/"):
        line += ["--service", service]
    return shlex.join(line)


def program() -> list[str]:
    """Return the command that calls this installation of handssl from a shell."""
    script = Path(sys.executable).with_name("handssl")
    found = shutil.which("handssl")
    if found and Path(found).resolve() == script.resolve():
        return ["handssl"]
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "handssl.cli"]
