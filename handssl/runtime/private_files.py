"""Files and folders that hold secrets: no other user of the machine can read them.

This module must not import Ray, which reads its variables when it is imported.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from handssl.errors import DataError, InputError

_OTHERS = 0o077


def make_private(folder: Path) -> None:
    """Create a folder that no other user can read, or restrict an existing one.

    Raises:
        DataError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from None
    _take_rights(folder, 0o700)


def ensure_secret(file: Path) -> None:
    """Write a new secret to a file that no other user can read, unless the file exists.

    Raises:
        DataError: It cannot be written; no empty file, which would look like a secret, is left.
    """
    try:
        with _new(file) as stream:
            stream.write(secrets.token_hex(32))
    except FileExistsError:
        _take_rights(file, 0o600)
    except OSError as error:
        raise _unwritable(file, error) from None


@contextlib.contextmanager
def new_secret(file: Path) -> Iterator[Callable[[str], object]]:
    """Open a new file that no other user can read, before its secret is created.

    Args:
        file: Path, which must not exist yet.

    Yields:
        Function that writes the secret. If the block fails, no file is left.

    Raises:
        InputError: The file exists.
        DataError: It cannot be written.
    """
    try:
        with _new(file) as stream:
            yield stream.write
    except FileExistsError:
        raise InputError(f"{file}: expected no file, but it exists; choose another name") from None
    except OSError as error:
        raise _unwritable(file, error) from None


def is_exposed(place: Path) -> bool:
    """Return whether other users of the machine have any permission on a file or folder."""
    try:
        return bool(place.stat().st_mode & _OTHERS)
    except OSError:
        return False


@contextlib.contextmanager
def _new(file: Path) -> Iterator[TextIO]:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            yield stream
    except BaseException:
        file.unlink()
        raise


def _take_rights(place: Path, mode: int) -> None:
    if is_exposed(place):
        with contextlib.suppress(OSError):  # e.g. another user's file: `handssl doctor` reports it
            place.chmod(mode)


def _unwritable(place: Path, error: OSError) -> DataError:
    return DataError(
        f"{place}: cannot be written ({error.strerror}); choose a storage that can be written, "
        "or free some space"
    )
