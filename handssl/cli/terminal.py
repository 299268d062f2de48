"""A terminal whose reader may go."""

from __future__ import annotations

import os

from rich.console import Console


class Terminal(Console):
    """A console whose reader may go, say `head`: the rest is dropped, and nothing ends."""

    def on_broken_pipe(self) -> None:
        """Send what follows nowhere, also what the file still holds at exit."""
        self.quiet = True
        to_nowhere(self.file.fileno())


def to_nowhere(descriptor: int) -> None:
    """Let everything that is written to a file descriptor vanish."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
