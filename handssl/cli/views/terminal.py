"""Console that tolerates a closed pipe."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from handssl.cli.views.live import PLAIN_PERIOD_S


class Terminal(Console):
    """Console that drops further output if its reader, e.g. `head`, closes the pipe."""

    def on_broken_pipe(self) -> None:
        """Discard further output, also what is still buffered at exit."""
        self.quiet = True
        to_nowhere(self.file.fileno())


def to_nowhere(descriptor: int) -> None:
    """Redirect a file descriptor to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


OnProgress = Callable[[int, int], None]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s", style="progress.percentage")


@contextmanager
def progress_bar(what: str, *, quiet: bool = False) -> Iterator[OnProgress]:
    """Show a bar on a terminal, a plain line every ten seconds elsewhere, or nothing.

    Args:
        what: Name of the work, e.g. `packing`.
        quiet: Show nothing.

    Yields:
        Function to call with (done, total).
    """
    console = Console(stderr=True)
    if quiet:
        yield lambda done, total: None
    elif not console.is_terminal:
        yield _plain(what, console)
    else:
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            *(_Rate(), TextColumn("time left"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(what: str, console: Console) -> OnProgress:
    start_s = spoke_s = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal spoke_s
        now_s = time.monotonic()
        if now_s - spoke_s >= PLAIN_PERIOD_S and done:
            spoke_s = now_s
            left_s = (now_s - start_s) / done * (total - done)
            console.print(f"{what}: {done:,} of {total:,}, {left_s:,.0f} s left", highlight=False)

    return advance
