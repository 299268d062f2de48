"""Which code a result came from: version and, in a checkout, commit and local changes."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("handssl", "torch", "torchvision", "numpy", "ray", "mlflow")


@lru_cache(maxsize=1)
def git_state() -> dict[str, str]:
    """Return tags with the commit and whether files differ from it; empty outside a checkout."""
    if _git("ls-files", "--error-unmatch", "errors.py") is None:
        return {}
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None:
        return {}
    return {"mlflow.source.git.commit": commit, "git_dirty": str(bool(changes)).lower()}


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that matter, as tags."""
    tags = {"version.python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            tags[f"version.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return tags


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(_PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
