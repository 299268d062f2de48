"""One run whose checkpoints are copied elsewhere, or are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TypeVar

from handssl.fencing import Fence
from handssl.secrets import require_no_secret
from handssl.sweep.copies import Copies
from handssl.sweep.events import Event, Note, OnEvent, Tick, Waiting
from handssl.sweep.remote import RemoteTrial
from handssl.sweep.target import Target
from handssl.training import Execution

Row = TypeVar("Row")


@dataclass(frozen=True)
class Copied:
    """What a run has to do with copies elsewhere.

    Attributes:
        copies: Makes them; None where none are asked for.
        on_event: Told when they are waited for.
        known: Epoch of the checkpoint that was taken from there, 0 if none was.
    """

    copies: Copies | None
    on_event: OnEvent
    known: int = 0

    def rows(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield rows that each have a checkpoint to be copied; the last one is waited for."""
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
    """Check where checkpoints are to be copied to, before anything is written.

    Args:
        url: Where; None for nowhere.

    Raises:
        InputError: The URL is of no file system that is known, or holds a password.
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
) -> Iterator[Copied]:
    """Take a newer checkpoint from there, and copy those of the block to it.

    Args:
        url: Where; None for nowhere.
        folder: The trial's own.
        execution: Says how many are kept.
        on_event: Told of what the user should know.
        fence: Around the folder.

    Yields:
        What the block needs of it.

    Raises:
        InputError: The URL is of no file system that is known.
        DataError: See `RemoteTrial.fetch`.
    """
    if url is None:
        yield Copied(None, on_event)
        return

    def note(message: str) -> None:
        on_event(Note(message))

    remote = RemoteTrial(
        *(url, folder),
        keep=execution.keep,
        max_bytes=execution.keep_bytes,
        on_note=note,
        fence=fence,
    )
    known = remote.fetch()
    if known:
        note(f"going on from {remote.url}, epoch {known}")
    with Copies(remote, folder, note) as copies:
        yield Copied(copies, on_event, known)
