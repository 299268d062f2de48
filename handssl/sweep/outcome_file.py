"""The last word of a driver, in a file: without one its exit code may be another's.

Python itself ends a process with 1, and so does Ray's core; so 1 means that trials have failed
only where the driver says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from handssl.errors import HandsslError


@dataclass(frozen=True)
class Told:
    """What a driver has said at its end.

    Attributes:
        exit_code: With which it ended.
        message: For people; empty where it has done what it was to do.
    """

    exit_code: int
    message: str = ""

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(path)


def telling(path: Path | None, work: Callable[[], int]) -> int:
    """Return the exit code that some work gives, told in a file too.

    Args:
        path: Of the file; None: nowhere.
        work: Returns the code, or raises an error that has one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     code = telling(Path(folder) / "outcome.json", lambda: 1)
        ...     told_in(Path(folder) / "outcome.json")
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


def told_in(path: Path) -> Told | None:
    """Return what a driver has said, None if it has said nothing.

    Args:
        path: Of the file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Told(int(values["exit_code"]), str(values["message"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
