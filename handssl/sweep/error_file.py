"""Error file with the traceback in the folder of a failed trial."""

from __future__ import annotations

import traceback
from pathlib import Path

from handssl.fencing import Fence, held

ERROR_FILE = "error.txt"


def write_error(folder: Path, fence: Fence | None = None) -> None:
    """Write the traceback of the error that is being handled into a trial's folder.

    Args:
        folder: The trial's folder, created if missing.
        fence: Fence of the folder.

    Raises:
        TakenOverError: Another process has claimed the folder; nothing was written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     try:
        ...         1 / 0
        ...     except ZeroDivisionError:
        ...         write_error(Path(folder))
        ...     Path(folder, ERROR_FILE).read_text().splitlines()[-1]
        'ZeroDivisionError: division by zero'
    """
    with held(fence):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ERROR_FILE).write_text(traceback.format_exc(), encoding="utf-8")
