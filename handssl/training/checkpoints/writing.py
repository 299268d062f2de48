"""Write files atomically, and remove temporary files of killed writers."""

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
from handssl.runtime.fencing import Fence, held

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

    If the process is killed at any point, `path` has its old content or the whole new one.

    Args:
        path: Final path.
        write: Called with the open file.
        size_bytes: Required size, for the message about a full disk.
        fence: Fence around the trial's folder, held for the rename.

    Raises:
        TakenOverError: Another process claimed the folder; no temporary file is left.
        DataError: The disk is full or the path not writable; no temporary file is left.
    """
    try:
        if fence is not None:
            fence.require()  # fail before writing
        _make_folder(path.parent)
        _write_and_rename(path, write, fence)
        flush_folder(path.parent)
    except OSError as error:
        raise _refused(path, error, size_bytes) from None


def remove_orphans(folder: Path) -> list[Path]:
    """Remove temporary files whose writers are not running.

    A writer holds a lock on its file, and the system releases it when the writer ends. So this is
    also correct for writers in other containers, and for reused process ids.

    Args:
        folder: Folder to clean; may not exist.

    Returns:
        The removed files.
    """
    return [path for path in sorted(folder.glob(_PARTIAL)) if _removed(path)]


def flush_folder(folder: Path) -> None:
    """Make renames in a folder durable in case of a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not supported by the file system
            raise
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Create a folder durably: a flushed file is lost if its folder is."""
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
    """Create and lock a file; retry if it was removed as an orphan before the lock."""
    while True:
        file = partial.open("xb")
        # Without locks on this file system orphans are not collected, which only costs space.
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
    except OSError:  # its writer is running, or it was just renamed or removed
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
        f"{path}: expected space for {size_bytes} bytes, the disk is full "
        f"({free_bytes} bytes free); earlier checkpoints are kept: free space and continue"
    )
