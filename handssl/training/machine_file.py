"""File in a trial's folder with the processors, vector widths and threads that trained it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

from handssl.runtime.fencing import Fence
from handssl.runtime.provenance import rounding_tags
from handssl.training.checkpoints.writing import write_whole

FILE = "machine.json"


def note_machine(folder: Path, fence: Fence | None = None) -> None:
    """Add what the rounding of this process depends on to a trial's folder.

    A trial that was continued elsewhere has all values, in order, separated by `; `.

    Args:
        folder: The trial's folder.
        fence: Fence of the folder.

    Raises:
        DataError: The folder cannot be written.
        TakenOverError: Another process has claimed the folder.
    """
    known = machine_of(folder)
    tags = {
        name: "; ".join(dict.fromkeys([*filter(None, known.get(name, "").split("; ")), value]))
        for name, value in rounding_tags().items()
    }
    content = json.dumps(tags, indent=2).encode()

    def write(file: BinaryIO) -> None:
        file.write(content)

    if tags != known:
        write_whole(folder / FILE, write, size_bytes=len(content), fence=fence)


def machine_of(folder: Path) -> dict[str, str]:
    """Return the tags that `note_machine` wrote to a trial's folder; none if it wrote none."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()}
