"""Console that tolerates a closed pipe."""

from __future__ import annotations

import os

from rich.console import Console


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
