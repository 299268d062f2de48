"""Fencing tokens for folders: only the process with the latest claim may write.

An expired lease does not stop a process. A worker that was suspended, or was cut off from its
driver, continues as if nothing had happened. So the folder itself holds the token of its last
claim, and every write compares it with its own under a file system lock: no other process can
claim the folder between the comparison and the write.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from handssl.errors import DataError, TakenOverError

FILE = "claim"
LIMIT_S, CLAIM_LIMIT_S = 10.0, 1.0
_PAUSE_S = 0.01
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True)
class Fence:
    """A claim on a folder, shared with its workers on any node.

    Args:
        folder: The folder, visible from all nodes.
        token: Identifies this claim; every claim has a different one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     old, new = Fence(Path(folder), "1"), Fence(Path(folder), "2")
        ...     old.take(), new.take(), old.is_lost(), new.is_lost()
        (True, True, True, False)
    """

    folder: Path
    token: str

    def take(self, may: Callable[[], bool] = lambda: True) -> bool:
        """Write the token into the folder, which makes earlier tokens invalid.

        Args:
            may: Called under the lock; returns whether this claim is still the last one.

        Returns:
            Whether it was written; False if another process holds the lock for too long.

        Raises:
            DataError: The folder cannot be written.
        """
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if _lock(descriptor, fcntl.LOCK_EX, CLAIM_LIMIT_S) is False or not may():
                return False
            with self._usable():
                os.pwrite(descriptor, self.token.encode(), 0)
                os.ftruncate(descriptor, len(self.token.encode()))
        finally:
            os.close(descriptor)
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Prevent other claims of the folder during the block, which should be short.

        On a file system without locks the token is compared before and after the block.

        Raises:
            TakenOverError: Another claim has been made since.
            DataError: The folder cannot be written.
        """
        try:
            with self._usable():
                descriptor = os.open(self._file, os.O_RDWR)
        except FileNotFoundError:
            raise self._lost() from None
        try:
            locked = _lock(descriptor, fcntl.LOCK_SH, LIMIT_S)
            if locked is False or not self._is_mine(descriptor):
                raise self._lost()
            yield
            if locked is None and not self._is_mine(descriptor):
                raise self._lost()
        finally:
            os.close(descriptor)

    def require(self) -> None:
        """Raise TakenOverError if another claim has been made since."""
        with self.held():
            pass

    def is_lost(self) -> bool:
        """Return whether another claim has been made, without taking the lock (for readers)."""
        try:
            return self._file.read_bytes() != self.token.encode()
        except FileNotFoundError:
            return True

    @property
    def _file(self) -> Path:
        return self.folder / FILE

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DataError(
                f"{self._file}: expected to write it, cannot ({error.strerror}); free some space "
                "or choose a storage that can be written"
            ) from None

    def _is_mine(self, descriptor: int) -> bool:
        return os.pread(descriptor, 4096, 0) == self.token.encode()

    def _lost(self) -> TakenOverError:
        return TakenOverError(
            f"{self.folder}: expected to be the only writer, but another process has claimed the "
            "folder since; what this process was about to write is discarded"
        )


def held(fence: Fence | None) -> AbstractContextManager[None]:
    """Return the context of a fence; without a fence any process may write."""
    return nullcontext() if fence is None else fence.held()


def _lock(descriptor: int, kind: int, limit_s: float) -> bool | None:
    """Lock a file; return False on a timeout, None if the file system has no locks."""
    until_s = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                return False
            time.sleep(_PAUSE_S)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return None
            raise
        else:
            return True
