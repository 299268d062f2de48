"""Folder for sockets, logs and token of a local Ray, inaccessible to other users.

This module must not import Ray, which reads its variables when it is imported.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from handssl.errors import InputError

PREFIX = "hs-"  # short, so that more folders will do
_RAY = "ray"  # Ray opens its folder to all users, so it lies in one that is closed to them
# The dashboard's, whose head fails to start where it is too long for the system.
_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/dash_TaskEventsHead"
_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
_OWNER = "owner"  # file with the path of the link that a folder was created for
_RANDOM = 8  # characters that mkdtemp adds
MOST_CHARACTERS = _LONGEST_SOCKET - len(f"/{PREFIX}/{_RAY}/{_SOCKET}") - _RANDOM


def make_ray_folder() -> Path:
    """Create a folder that only its owner can enter, with a path short enough for Ray's sockets.

    It lies in `$RAY_TMPDIR`, else in the first of `$TMPDIR`, `/tmp`, `/var/tmp` and
    `$XDG_RUNTIME_DIR` that is short enough and in which no other user can replace it.

    Raises:
        InputError: `$RAY_TMPDIR` is set and unsuitable, or none of the other places is suitable.

    Example:
        >>> folder = make_ray_folder()
        >>> oct(folder.stat().st_mode & 0o777), ray_temp(folder).name
        ('0o700', 'ray')
        >>> folder.rmdir()
    """
    reasons = []
    for place in _places():
        reason = unfit(place)
        if reason is None:
            try:
                return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            except OSError as error:
                reason = f"cannot be written ({error.strerror})"
        reasons.append(f"{place} {reason}")
    raise InputError(
        f"RAY_TMPDIR: expected a folder of yours for Ray's sockets, with a path of at most "
        f"{MOST_CHARACTERS} characters; found none: {'; '.join(reasons)}. Make one and name it: "
        'mkdir -m 700 "/tmp/$USER" && export RAY_TMPDIR="/tmp/$USER"'
    )


def ray_temp(folder: Path) -> Path:
    """Return Ray's temporary folder: inside ours, since Ray opens its folder to all users."""
    return folder / _RAY


def renew_ray_folder(link: Path) -> Path:
    """Replace the folder that a link points to by a new one, and update the link.

    Args:
        link: Path of the link, in a folder of the service.

    Raises:
        InputError: There is no suitable place for the folder.
        OSError: The link cannot be written.
    """
    remove_ray_folder(link)
    folder = make_ray_folder()
    (folder / _OWNER).write_text(str(link.absolute()))
    link.symlink_to(folder)
    return folder


def remove_ray_folder(link: Path) -> None:
    """Remove a link and its target, unless the target was created for another storage's link.

    A copied storage has a link to the folder of the original.
    """
    with suppress(OSError):
        folder = link.readlink()
        link.unlink()
        if (folder / _OWNER).read_text() == str(link.absolute()):
            shutil.rmtree(folder, ignore_errors=True)


def unfit(place: Path) -> str | None:
    """Return why a folder is not suitable as a parent of ours; None if it is.

    A user who owns a folder above ours, or may write there without the sticky bit, could replace
    ours by another one.

    Example:
        >>> unfit(Path("/nowhere")), unfit(Path("/tmp"))
        ('does not exist', None)
    """
    if len(os.fsencode(place)) > MOST_CHARACTERS:
        return f"is longer than {MOST_CHARACTERS} characters"
    try:
        found = place.resolve(strict=True)
        if not found.is_dir():
            return "is not a folder"
        return next(filter(None, map(_danger, (found, *found.parents))), None)
    except (OSError, RuntimeError):  # a loop of links is a RuntimeError
        return "does not exist"


def _danger(folder: Path) -> str | None:
    known = folder.stat()
    if known.st_uid not in (0, os.getuid()):
        return f"is not safe: {folder} belongs to another user"
    if known.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not known.st_mode & stat.S_ISVTX:
        return f"is not safe: other users may rename what is in {folder}"
    return None


def _places() -> Iterator[Path]:
    if named := os.environ.get("RAY_TMPDIR"):
        yield Path(named)
        return
    for name in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp", os.environ.get("XDG_RUNTIME_DIR")):  # noqa: S108
        if name:
            yield Path(name)
