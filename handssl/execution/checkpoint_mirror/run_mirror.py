"""Copies of one run's checkpoints to a remote folder, if requested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TypeVar

from handssl.execution.checkpoint_mirror.background_copies import BackgroundCopies
from handssl.execution.checkpoint_mirror.mirror import CheckpointMirror
from handssl.execution.checkpoint_mirror.remote_folder import Target
from handssl.runtime.fencing import Fence
from handssl.runtime.secrets import require_no_secret
from handssl.study.events import Event, OnEvent, StudyMessage, Tick, Waiting
from handssl.training import Execution

Row = TypeVar("Row")


@dataclass(frozen=True)
class MirroredRun:
    """Remote copies of a run's checkpoints.

    Attributes:
        copies: Makes the copies; None if none are requested.
        on_event: Called while the run waits for the last copies.
        known: Epoch of the checkpoint that was fetched from there; 0 if none was.
    """

    copies: BackgroundCopies | None
    on_event: OnEvent
    known: int = 0

    def rows(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield rows that each have a checkpoint to copy; wait for the last copy."""
        if self.copies is None:
            yield from rows
            return
        try:
            for row in rows:
                self.copies.offer()
                yield row
        finally:
            events: Iterator[Event] = chain((Waiting("checkpoints"),), repeat(Tick()))
            self.copies.finish(lambda: self.on_event(next(events)))


def require_file_system(url: str | None) -> None:
    """Check the target of checkpoint copies before anything is written.

    Args:
        url: URL of the target; None for no copies.

    Raises:
        InputError: The URL's file system is unknown, or it contains a password.
    """
    if url is not None:
        require_no_secret("checkpoints", url)
        Target(url)


@contextmanager
def copied_elsewhere(
    url: str | None,
    folder: Path,
    execution: Execution,
    on_event: OnEvent,
    fence: Fence | None = None,
) -> Iterator[MirroredRun]:
    """Fetch a newer checkpoint from the target, and copy the block's checkpoints to it.

    Args:
        url: URL of the target; None for no copies.
        folder: The trial's local folder.
        execution: Execution options; they limit the checkpoints kept.
        on_event: Called with notes for the user.
        fence: Fence of the folder.

    Yields:
        The copies for the block.

    Raises:
        InputError: The URL's file system is unknown.
        DataError: See `CheckpointMirror.fetch`.
    """
    if url is None:
        yield MirroredRun(None, on_event)
        return

    def note(message: str) -> None:
        on_event(StudyMessage(message))

    remote = CheckpointMirror(
        url,
        folder,
        keep=execution.keep,
        max_bytes=execution.keep_bytes,
        on_note=note,
        fence=fence,
    )
    known = remote.fetch()
    if known:
        note(f"resuming from {remote.url}, epoch {known}")
    with BackgroundCopies(remote, folder, note) as copies:
        yield MirroredRun(copies, on_event, known)
