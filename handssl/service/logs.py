"""A job's log, read in pieces."""

from __future__ import annotations

from pathlib import Path

from handssl.secrets import masked

PIECE = 256 * 1024


def read_log(file: Path, offset: int, *, piece: int = PIECE) -> tuple[str, int]:
    r"""Return text from a byte on, and the byte after it.

    Whole characters only; what is no UTF-8 is shown as a replacement.

    Args:
        file: May be missing: nothing has been written yet.
        offset: Byte to begin at; negative: so many before the end.
        piece: Bytes at most.

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
