"""Background copies of checkpoints; training waits only for the last one."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from handssl.execution.checkpoint_mirror.mirror import (
    CHECKPOINTS,
    FINAL_FILES,
    CheckpointMirror,
    OnNote,
    reason_of,
)
from handssl.training.checkpoints import CheckpointFolder

_PERIOD_S = 0.2
_TIMEOUT_S = 300.0
_Signature = tuple[int, int]


class BackgroundCopies:
    """Copies a trial's checkpoints to a remote folder in a background thread.

    While a copy is being made, only the newest checkpoint is queued. A target that is not reachable
    is reported once and tried again with the next checkpoint.

    Args:
        remote: The trial's remote folder.
        folder: The trial's local folder.
        on_note: Called with each message for the user, in the thread that calls a method.
    """

    def __init__(self, remote: CheckpointMirror, folder: Path, on_note: OnNote) -> None:
        self._remote, self._folder, self._on_note = remote, folder, on_note
        self._notes = queue.SimpleQueue[str]()
        self._turn = threading.Condition()
        self._offered: list[Path] = []
        self._copied: dict[str, _Signature] = {}
        self._busy = self._closed = self._away = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="checkpoint copies")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        self._thread.join(_PERIOD_S)  # a hanging copy is abandoned

    def offer(self) -> None:
        """Queue the newest checkpoint for copying; return immediately."""
        self._notify()
        newest = CheckpointFolder(self._folder / CHECKPOINTS).files()[:1]
        with self._turn:
            self._offered = newest or self._offered
            self._turn.notify_all()

    def finish(self, on_tick: Callable[[], None], timeout_s: float = _TIMEOUT_S) -> None:
        """Copy the newest checkpoint and the final files, and wait for them.

        Args:
            on_tick: Called several times a second while waiting.
            timeout_s: Seconds after which waiting ends, with a note to the user.
        """
        self.offer()
        with self._turn:
            self._offered += [self._folder / name for name in FINAL_FILES]
            self._turn.notify_all()
        left_s = timeout_s
        while (late := self._is_underway()) and left_s > 0:
            left_s -= _PERIOD_S
            on_tick()
        self._notify()
        if late:
            self._on_note(
                f"{self._remote.url}: the last checkpoint was not copied in {timeout_s:g} s; "
                f"it is in {self._folder}"
            )

    def _is_underway(self) -> bool:
        """Return whether there is still something to copy, after waiting _PERIOD_S at most."""
        with self._turn:
            return not self._turn.wait_for(
                lambda: not self._offered and not self._busy, timeout=_PERIOD_S
            )

    def _work(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._offered or self._closed)
                if not self._offered:
                    return
                paths, self._offered, self._busy = self._offered, [], True
            self._copy_all(paths)
            with self._turn:
                self._busy = False
                self._turn.notify_all()

    def _copy_all(self, paths: Iterable[Path]) -> None:
        try:
            for path in paths:
                self._copy(path)
        except Exception as error:  # whatever a file system raises, training continues
            if not self._away:
                self._notes.put(
                    f"{self._remote.url}: checkpoints are not copied there ({reason_of(error)}); "
                    "training continues, and the next checkpoint tries again"
                )
            self._away = True

    def _copy(self, path: Path) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:  # a newer one has replaced it, or there are no final files yet
            return
        with file:
            status = os.fstat(file.fileno())
            signature = (status.st_mtime_ns, status.st_ino)
            if self._copied.get(path.name) == signature:
                return
            self._remote.put(file, path.name)
        self._copied[path.name] = signature
        if self._away:
            self._notes.put(f"{self._remote.url}: checkpoints are copied there again")
        self._away = False

    def _notify(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._on_note(self._notes.get_nowait())
