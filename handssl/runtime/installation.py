"""The installed handssl: version and commit as labels, content as a digest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("handssl", "tune_spaces")
# Only wheels contain it, written by hatch_build.py; a digest that included it would differ between
# a wheel and the checkout it was built from.
COMMIT_FILE = "_commit.json"
_PACKAGE = Path(__file__).parents[1]


def version_label() -> str:
    """Return the installed version, `none` if handssl is used without being installed.

    In an editable installation it is the version at the time of the installation, even if the code
    has changed since: use it for display, and `code_digest` for comparisons.
    """
    try:
        return version("handssl")
    except PackageNotFoundError:
        return "none"


@cache
def git_state() -> dict[str, str]:
    """Return tags with the commit, and whether files differ from it; empty if unknown.

    In a checkout they come from git, elsewhere from a file written when the wheel was built.
    """
    if _git("ls-files", "--error-unmatch", "errors.py") is None:
        return _built_from()
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None:
        return {}
    return {"mlflow.source.git.commit": commit, "git_dirty": str(bool(changes)).lower()}


def _built_from() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((_PACKAGE / COMMIT_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(_PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def code_digest() -> str:
    """Return a digest of the content of the installed packages, 16 hexadecimal characters.

    It is computed once per process. A wheel and the checkout it was built from have the same.

    Example:
        >>> len(code_digest())
        16
    """
    return digest_of(PACKAGES)


def digest_of(packages: tuple[str, ...]) -> str:
    """Return the digest of packages, found where this process would import them from.

    Args:
        packages: Names of top-level packages; one that is missing counts as empty.

    Returns:
        16 hexadecimal characters; they depend on the names and contents of all files of the
        packages, not on the folder they are in. Caches and hidden files are left out.
    """
    total = hashlib.blake2b(digest_size=8)
    for package in packages:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for name, path in sorted(_files(folder)):
                content = hashlib.blake2b(Path(path).read_bytes()).hexdigest()
                total.update(f"{package}/{name} {content}\n".encode())
    return total.hexdigest()


def _files(folder: str) -> Iterator[tuple[str, str]]:
    """Yield (name within the folder, path) of every file that belongs to a package."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and name[0] != "."]
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118  (a tenth of the time of a Path)
            inside = path[len(folder) + 1 :].replace(os.sep, "/")
            if name[0] != "." and not name.endswith((".pyc", "~")) and inside != COMMIT_FILE:
                yield inside, path
