"""Find the images below a folder with their sizes, with one stat call per image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from handssl.errors import DataError

ALL = "**/*"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def images_below(root: Path, pattern: str = ALL) -> Iterator[tuple[str, int]]:
    """Yield relative name and size of every image below a folder, in arbitrary order.

    Hidden files and folders are skipped; links are followed, except to a folder they lie in.

    Args:
        root: The folder.
        pattern: Glob for names: `*` matches within a name, `**` any number of folders.

    Yields:
        The name with `/` between its parts, and the size in bytes.

    Raises:
        DataError: A folder or an image cannot be read.
    """
    parts = pattern.split("/")
    try:
        for name, entry in _visible(root):
            fits = pattern == ALL or _fits(name.split("/"), parts)
            if fits and name.lower().endswith(SUFFIXES):
                yield name, entry.stat().st_size
    except OSError as error:
        raise DataError(
            f"{error.filename}: expected a folder or an image, cannot read it ({error.strerror})"
        ) from None


def _visible(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    waiting = [(os.fspath(root), "")]
    while waiting:
        folder, before = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    yield before + entry.name, entry
                elif not (entry.is_symlink() and _holds(Path(entry.path))):
                    waiting.append((entry.path, f"{before}{entry.name}/"))


def _holds(link: Path) -> bool:
    """Return whether a link points to a folder that contains the link."""
    return link.resolve() in (link.parent.resolve() / link.name).parents


def _fits(name: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return _fits(name, pattern[1:]) or (bool(name) and _fits(name[1:], pattern))
    return bool(name) and fnmatchcase(name[0], pattern[0]) and _fits(name[1:], pattern[1:])
