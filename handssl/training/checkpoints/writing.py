"""Files written whole or not at all, and the remains of writers that were killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from handssl.errors import DataError
from handssl.fencing import Fence, held

_PARTIAL = "*.tmp-[0-9]*-" + 8 * "[0-9a-f]"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_whole(
    path: Path,
    write: Callable[[BinaryIO], None],
    *,
    size_bytes: int,
    fence: Fence | None = None,
) -> None:
    """Write under a temporary name, flush to disk, rename, flush the folder.

    Killed at any point it leaves what was at `path` before, or the whole new file.

    Args:
        path: Final name.
        write: Gets the open file.
        size_bytes: What the file needs, for the message of a full disk.
        fence: Around the trial's folder; the file gets its name within it.

    Raises:
        TakenOverError: The folder was claimed by another; no temporary file is left.
        DataError: The disk is full or the place cannot be written; no temporary file is left.
    """
    try:
        if fence is not None:
            fence.require()  # before it is written in vain
        _make_folder(path.parent)
        _write_and_rename(path, write, fence)
        flush_folder(path.parent)
    except OSError as error:
        raise _refused(path, error, size_bytes) from None


def remove_orphans(folder: Path) -> list[Path]:
    """Remove the temporary files whose writers are gone.

    A writer holds a lock on its file, and the system drops it when the writer ends. So this is
    right for writers in other containers too, and for process ids that were given out again.

    Args:
        folder: May not exist.

    Returns:
        What was removed.
    """
    return [path for path in sorted(folder.glob(_PARTIAL)) if _removed(path)]


def flush_folder(folder: Path) -> None:
    """Make renames in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # this file system cannot
            raise
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Create a folder that lasts: a flushed file in a folder that is lost is lost too."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush_folder(folder.parent)


def _write_and_rename(path: Path, write: Callable[[BinaryIO], None], fence: Fence | None) -> None:
    partial = path.with_name(f"{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with _claimed(partial) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            with held(fence):
                partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _claimed(partial: Path) -> BinaryIO:
    """Create and lock a file; again if it was taken for an orphan before the lock."""
    while True:
        file = partial.open("xb")
        # Without locks on this file system orphans are not collected, which costs space alone.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _removed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except OSError:  # its writer lives, or it was renamed or removed just now
        return False
    return True


def _refused(path: Path, error: OSError, size_bytes: int) -> DataError:
    if error.errno not in _FULL:
        return DataError(
            f"{path}: expected to write it, cannot ({error.strerror}); "
            "choose a folder that can be written"
        )
    existing = next(folder for folder in path.absolute().parents if folder.exists())
    free_bytes = shutil.disk_usage(existing).free
    return DataError(
        f"{path}: expected room for {size_bytes} bytes, the disk is full "
        f"({free_bytes} bytes free); earlier checkpoints are kept: make room and continue"
    )
