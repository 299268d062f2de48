"""Outcome of a driver, written to a file because its exit code alone is ambiguous.

Python itself ends a process with exit code 1, and so does Ray's core; so 1 means failed trials only
if the driver has written it to the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from handssl.errors import HandsslError


@dataclass(frozen=True)
class Told:
    """Outcome that a driver reported at its end.

    Attributes:
        exit_code: Exit code of the driver.
        message: Error message for the user; empty if there was no error.
    """

    exit_code: int
    message: str = ""

    def write(self, path: Path) -> None:
        """Write the outcome atomically."""
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(path)


def telling(path: Path | None, work: Callable[[], int]) -> int:
    """Return the exit code of some work, and write it to a file.

    Args:
        path: Path of the file; None: no file is written.
        work: Returns the exit code, or raises an error that has one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     code = telling(Path(folder) / "outcome.json", lambda: 1)
        ...     read_outcome(Path(folder) / "outcome.json")
        Told(exit_code=1, message='')
    """
    try:
        code = work()
    except HandsslError as error:
        if path is not None:
            Told(error.exit_code, str(error)).write(path)
        raise
    if path is not None:
        Told(code).write(path)
    return code


def read_outcome(path: Path) -> Told | None:
    """Read the outcome of a driver; None if it has not written one.

    Args:
        path: Path of the file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Told(int(values["exit_code"]), str(values["message"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
