"""Copies of a trial's checkpoints on another file system: retention, and restart from them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from handssl.errors import DataError, HandsslError
from handssl.evaluation.kept_probe import FILE as PROBE
from handssl.evaluation.predictions import FILE
from handssl.execution.checkpoint_mirror.remote_folder import RemoteFile, Target, is_partial
from handssl.runtime.fencing import Fence, held
from handssl.training.checkpoints import CheckpointFolder
from handssl.training.checkpoints.reading import DamagedError, read
from handssl.training.checkpoints.writing import flush_folder, remove_orphans

CHECKPOINTS = "checkpoints"
FINAL_FILES = ("encoder.safetensors", PROBE, FILE)
"""Files of a completed trial beside its checkpoints."""

_PREFIX, _SUFFIX, _DAMAGED = "epoch-", ".ckpt", ".damaged"
OnNote = Callable[[str], None]


class CheckpointMirror:
    """Files of a trial on another file system, laid out as in its local folder.

    Args:
        url: URL of the target; the trial's folder there has the name of its local folder.
        folder: The trial's local folder.
        keep: Number of newest checkpoints kept there, at least 1.
        max_bytes: Older checkpoints are removed beyond this sum in bytes; None: no limit.
        on_note: Called with each message for the user.
        fence: Fence of the local folder; a process that has lost it copies nothing more.

    Raises:
        InputError: The URL's file system is unknown.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        keep: int,
        max_bytes: int | None,
        on_note: OnNote,
        fence: Fence | None = None,
    ) -> None:
        self._fence = fence
        self._local, self._keep, self._max_bytes = folder / CHECKPOINTS, keep, max_bytes
        self._checkpoints = Target(url, f"{folder.name}/{CHECKPOINTS}")
        self._root, self._on_note = Target(url, folder.name), on_note

    @property
    def url(self) -> str:
        """URL of the trial's remote folder."""
        return self._root.url

    def put(self, file: BinaryIO, name: str) -> None:
        """Copy a checkpoint or a final file, and remove checkpoints no longer kept.

        Args:
            file: Open file, positioned at its start.
            name: Name of the file.

        Raises:
            OSError: The file cannot be written there.
            TakenOverError: Another process has claimed the trial's folder.
        """
        if self._fence is not None:
            self._fence.require()  # not held during the copy, which may take minutes
        if name in FINAL_FILES:
            self._root.put(file, name)
            return
        self._checkpoints.put(file, name)
        files = self._checkpoints.names()
        stays = set(kept(files, self._keep, self._max_bytes))
        for there in files:
            if there.name not in stays:
                self._checkpoints.remove(there.name)

    def fetch(self) -> int:
        """Fetch the newest intact checkpoint if it is newer than the local ones.

        Returns:
            The epoch of the fetched checkpoint; 0 if none was fetched.

        Raises:
            DataError: There is no local checkpoint, and the target is not readable or has no
                intact checkpoint.
        """
        here = max((epoch_of(p.name) for p in CheckpointFolder(self._local).files()), default=-1)
        try:
            return self._fetch_newer(here)
        except HandsslError:
            raise
        except Exception as error:  # file systems raise errors of many classes
            if here < 0:
                raise DataError(
                    f"{self.url}: expected to read the trial's checkpoints, cannot "
                    f"({reason_of(error)}); try again when it is reachable, or start without "
                    "--checkpoints"
                ) from None
        return 0

    def _fetch_newer(self, here: int) -> int:
        files = [file for file in self._checkpoints.names() if epoch_of(file.name) > here]
        for file in sorted(files, key=lambda file: epoch_of(file.name), reverse=True):
            if self._take(file):
                return epoch_of(file.name)
        if files and here < 0:
            raise DataError(
                f"{self.url}: expected an intact checkpoint, all {len(files)} are damaged; "
                "remove them to start again"
            )
        return 0

    def _take(self, file: RemoteFile) -> bool:
        """Read a checkpoint under a temporary name; rename it once its digest is verified."""
        self._local.mkdir(parents=True, exist_ok=True)
        remove_orphans(self._local)
        partial = self._local / f"{file.name}.tmp-0-{secrets.token_hex(4)}"
        try:
            self._checkpoints.get(file.name, partial)
            read(partial)
            with held(self._fence):
                partial.replace(self._local / file.name)
            flush_folder(self._local)
        except DamagedError:
            with contextlib.suppress(OSError):
                self._checkpoints.rename(file.name, file.name + _DAMAGED)
            self._on_note(f"{self.url}: {file.name} is damaged; looking for an earlier one")
            return False
        finally:
            partial.unlink(missing_ok=True)
        return True


def epoch_of(name: str) -> int:
    """Return the epoch in the name of a complete checkpoint; -1 for any other name.

    Example:
        >>> epoch_of("epoch-00012.ckpt"), epoch_of("epoch-00012.ckpt.damaged")
        (12, -1)
    """
    digits = name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    named = name == f"{_PREFIX}{digits}{_SUFFIX}"
    return int(digits) if named and digits.isdecimal() else -1


def kept(files: Iterable[RemoteFile], keep: int, max_bytes: int | None) -> Iterator[str]:
    """Yield the names of files to keep: checkpoints as in the local folder, and foreign files.

    Args:
        files: All files in the folder.
        keep: Number of newest checkpoints to keep, at least 1.
        max_bytes: Older ones are removed beyond this sum in bytes; the newest one is always kept.

    Example:
        >>> files = [RemoteFile(f"epoch-0000{i}.ckpt", 10) for i in (1, 2, 3)]
        >>> list(kept(files, keep=3, max_bytes=25))
        ['epoch-00003.ckpt', 'epoch-00002.ckpt']
    """
    files = list(files)
    total_bytes = 0
    whole = [file for file in files if epoch_of(file.name) >= 0]
    newest_first = sorted(whole, key=lambda file: epoch_of(file.name), reverse=True)
    for number, file in enumerate(newest_first[:keep]):
        total_bytes += file.size_bytes
        if number and max_bytes is not None and total_bytes > max_bytes:
            break
        yield file.name
    yield from (f.name for f in files if epoch_of(f.name) < 0 and not is_partial(f.name))


def reason_of(error: BaseException) -> str:
    """Format an error as one line."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
