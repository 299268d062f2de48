"""Check that other users of this machine cannot read files with secrets."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from handssl.doctor.finding import Finding
from handssl.doctor.settings import Settings
from handssl.private_files import is_exposed


def check_secret_files(settings: Settings) -> Finding:
    """Check the permissions of the files in which libraries and the service keep secrets."""
    there = [file for file in _files(settings.storage) if file.exists()]
    exposed = [file for file in there if is_exposed(file)]
    if exposed:
        detail = f"other users can read {', '.join(map(str, exposed))}"
        fix = f"chmod go= {shlex.join(map(str, exposed))}; then replace the secrets in them"
        return Finding("secret files", "warning", detail, fix)
    return Finding("secret files", "ok", f"{len(there)} with secrets, readable by this user only")


def _files(storage: Path) -> Iterator[Path]:
    service = storage / "service"
    yield from (service, service / "ray_token", service / "mlflow_password")
    for name in ("RAY_AUTH_TOKEN_PATH", "PGPASSFILE"):
        if named := os.environ.get(name):
            yield Path(named)
    with suppress(RuntimeError):  # a user without a home folder
        home = Path.home()
        yield from (home / ".ray" / "auth_token", home / ".pgpass", home / "handssl.env")
