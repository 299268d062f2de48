"""Folder of the checkpoints of one run: saving, retention, and reading the newest intact one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from handssl.errors import DataError, InputError
from handssl.runtime.fencing import Fence, held
from handssl.training.checkpoints.format import encode
from handssl.training.checkpoints.reading import DamagedError, MissingError, RunState, read
from handssl.training.checkpoints.writing import remove_orphans, write_whole

Mirror = Callable[[Path], None]
OnNote = Callable[[str], None]
_FILES, _DAMAGED = "epoch-*.ckpt", ".damaged"


class CheckpointFolder:
    """A folder of checkpoints, named after their epochs.

    Opening it removes temporary files of killed writers. One process writes at a time: see
    `RunLock`.

    Args:
        path: Folder; created by the first save.
        keep: Number of newest checkpoints to keep, at least 1.
        max_bytes: Maximum total size; older ones beyond it are removed, the newest one is kept.
        mirror: Called with every complete file, to copy it elsewhere; a failure is only noted.
        on_note: Called with each message for the user; default: a warning in the log "handssl".
        fence: Fence around the trial's folder; nothing is written, renamed or removed without it.

    Raises:
        InputError: `keep` is less than 1.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep: int = 2,
        max_bytes: int | None = None,
        mirror: Mirror | None = None,
        on_note: OnNote | None = None,
        fence: Fence | None = None,
    ) -> None:
        if keep < 1:
            raise InputError(f"keep: expected at least 1 checkpoint, got {keep}")
        self.path, self.keep, self.max_bytes = path, keep, max_bytes
        self._mirror, self._fence = mirror, fence
        self._note = on_note or logging.getLogger("handssl").warning
        remove_orphans(path)

    def save(self, state: RunState) -> Path:
        """Write a checkpoint atomically, then remove those that are no longer kept.

        Args:
            state: State after a complete epoch, or where the run was stopped.

        Returns:
            Path of the checkpoint.

        Raises:
            DataError: The disk is full or not writable. Earlier checkpoints are unchanged, and the
                caller may continue training.
            TakenOverError: Another process claimed the folder; nothing was written.
        """
        path = self.path / f"epoch-{state.epoch:05d}.ckpt"
        encoded = encode(state.to_dict())
        write_whole(path, encoded.write, size_bytes=encoded.size_bytes, fence=self._fence)
        with held(self._fence):
            self._prune(path)
        self._copy(path)
        return path

    def latest(self) -> RunState | None:
        """Read the newest intact checkpoint; damaged ones are renamed and reported.

        Returns:
            The state, or None in a folder without checkpoints.

        Raises:
            DataError: There are checkpoints but none is intact, or one is of another version.
        """
        damage: list[str] = []
        for path in self.files():
            try:
                state = RunState.from_dict(read(path))
            except DamagedError as error:
                damage.append(f"{error}; {self._put_aside(path)}")
                continue
            except MissingError:
                continue  # removed since the folder was listed
            for message in damage:
                self._note(f"{message}; continuing after epoch {state.epoch}")
            return state
        self._refuse(damage)
        return None

    def files(self) -> list[Path]:
        """Return the checkpoints, newest first."""
        return sorted(self.path.glob(_FILES), key=_epoch, reverse=True)

    def _refuse(self, damage: list[str]) -> None:
        """Raise if checkpoints are damaged: restarting silently could hide days of lost work."""
        found = damage or [str(path) for path in self._damaged_files()]
        if found:
            raise DataError(
                f"{found[0]}; no intact checkpoint is left in {self.path}: "
                "remove that folder to start again"
            )

    def _put_aside(self, path: Path) -> str:
        aside = path.with_name(path.name + _DAMAGED)
        try:
            with held(self._fence):
                path.replace(aside)
        except OSError as error:
            return f"it could not be renamed ({error.strerror})"
        return f"it is now {aside.name}"

    def _prune(self, newest: Path) -> None:
        stays = set(self._kept(newest))
        for path in [*self.files(), *self._damaged_files()]:
            if path not in stays:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _kept(self, newest: Path) -> Iterator[Path]:
        """Yield the newest checkpoint, then others and damaged ones within the size limit."""
        yield newest
        total_bytes = _size(newest)
        others = [path for path in self.files() if path != newest][: self.keep - 1]
        for path in [*others, *self._damaged_files()[: self.keep]]:
            total_bytes += _size(path)
            if self.max_bytes is not None and total_bytes > self.max_bytes:
                return
            yield path

    def _damaged_files(self) -> list[Path]:
        return sorted(self.path.glob(_FILES + _DAMAGED), key=_epoch, reverse=True)

    def _copy(self, path: Path) -> None:
        if self._mirror is None:
            return
        try:
            self._mirror(path)
        except Exception as error:
            self._note(f"{path}: not copied ({type(error).__name__}: {error}); training continues")


def _size(path: Path) -> int:
    """Return the size of a file in bytes, 0 if another process has removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _epoch(path: Path) -> int:
    digits = path.name.removeprefix("epoch-").split(".")[0]
    return int(digits) if digits.isdecimal() else -1
