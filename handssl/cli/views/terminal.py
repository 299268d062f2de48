"""Console of the command line: closed pipes, folded lines, plain tables, progress."""

from __future__ import annotations

import os
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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
from rich.table import Table
from rich.text import Text

from handssl.cli.views.live import PLAIN_PERIOD_S


class Terminal(Console):
    """Console that drops further output if its reader, e.g. `head`, closes the pipe."""

    def on_broken_pipe(self) -> None:
        """Discard further output, also what is still buffered at exit."""
        self.quiet = True
        to_nowhere(self.file.fileno())


def folded(line: str, width: int) -> str:
    """Fold a line at words, continuation lines indented; lines with a command stay whole.

    Args:
        line: The line, with its indentation.
        width: Greatest length of a line.

    Example:
        >>> print(folded("  two cells: too few blocks", 20))
          two cells: too few
            blocks
    """
    if len(line) <= width or "handssl " in line:  # a command is for copying
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def folded_label(label: str, width: int) -> str:
    """Fold the label of a cell after `+` or a space.

    Example:
        >>> folded_label("mixed blur+rotate+sobel", 18).splitlines()
        ['mixed blur+rotate+', 'sobel']
    """
    lines = [""]
    for part in re.findall(r"[^+ ]+[+ ]?", label):
        fits = len(lines[-1]) + len(part.rstrip()) <= width
        lines = [*lines[:-1], lines[-1] + part] if fits else [*lines, part]
    return "\n".join(line.rstrip() for line in lines if line)


def plain_table(**options: Any) -> Table:
    """Return a table without lines, with one space between its columns."""
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), **options)


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
