"""Lock that allows one run in a folder at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import weakref
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from handssl.errors import DataError, InputError

FILE = "run.lock"


class RunLock:
    """An exclusive lock on a folder, held until it is released or the process ends in any way.

    The file remains after release: removing it would let two processes lock two files of the same
    name. A forked child does not hold the lock, and does not prolong it.

    Args:
        folder: Folder to lock; created if missing. `run.lock` in it names the holder of the lock.
        shared: Whether to take a shared lock, which excludes only exclusive locks.

    Raises:
        InputError: Another run holds the lock; the message names its process, host and start.
        DataError: The folder is not writable, or its file system does not support locks.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, RunLock(Path(folder)):
        ...     RunLock(Path(folder))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        handssl.errors.InputError: ...: expected a folder that no run uses, process ... uses it...
    """

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        self.path, self._shared = folder / FILE, shared
        self._descriptor: int | None = self._acquire()
        _held.add(self)

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()

    def __reduce__(self) -> NoReturn:
        # A copy in another process would close an unrelated descriptor.
        raise TypeError("a RunLock belongs to its process and cannot be sent to another")

    def release(self) -> None:
        """Release the lock; idempotent. In a forked child the parent keeps the lock."""
        # Closed, not unlocked: unlocking a copy of the descriptor would release it for all.
        descriptor, self._descriptor = getattr(self, "_descriptor", None), None
        if descriptor is not None:
            os.close(descriptor)

    def _acquire(self) -> int:
        descriptor = self._open()
        try:
            kind = fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise InputError(
                f"{self.path.parent}: expected a folder that no run uses, {holder} uses it; "
                "wait for that run, end it, or choose another folder"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(error) from None
        with contextlib.suppress(OSError):  # on a full disk the lock works without a name
            _write_holder(descriptor)
        return descriptor

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Python makes the descriptor non-inheritable through exec.
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> DataError:
        return DataError(
            f"{self.path}: expected a file that can be locked, cannot ({error.strerror}); "
            "choose a writable folder on a file system with locks"
        )


def _write_holder(descriptor: int) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on {holder['host']} (since {holder['started']})"
    except (ValueError, KeyError, TypeError):  # it has the lock but has not written its name yet
        return "another process"


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _release_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
