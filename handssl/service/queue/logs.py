"""A job's log, read in pieces."""

from __future__ import annotations

from pathlib import Path

from handssl.runtime.secrets import masked

PIECE = 256 * 1024


def read_log(file: Path, offset: int, *, piece: int = PIECE) -> tuple[str, int]:
    r"""Return text from a byte offset on, and the offset after it.

    Bytes that are not valid UTF-8 are shown as replacement characters.

    Args:
        file: The log file; it may be missing if nothing has been written yet.
        offset: Byte to start at; a negative one counts from the end.
        piece: Maximum number of bytes.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "log.txt"
        ...     _ = file.write_text("first\nsecond\n")
        ...     read_log(file, 6), read_log(file, -7), read_log(file, 13)
        (('second\n', 13), ('second\n', 13), ('', 13))
    """
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            start = min(offset if offset >= 0 else max(0, size + offset), size)
            stream.seek(start)
            data = stream.read(piece)
    except OSError:
        return "", max(0, offset)
    if start + len(data) < size and b"\n" in data:
        data = data[: data.rindex(b"\n") + 1]
    return masked(data.decode(errors="replace")), start + len(data)
