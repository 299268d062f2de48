"""Formatting of times and numbers for the pages."""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float | None) -> str:
    """Format a duration.

    Example:
        >>> [duration(s) for s in (None, 7, 75, 4000, 200_000)]
        ['', '7 s', '1 min 15 s', '1 h 6 min', '2 d 7 h']
    """
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    for size, unit, next_size, next_unit in _UNITS:
        if whole >= size:
            rest = whole % size // next_size
            return f"{whole // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{whole} s"


_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


def ago(moment_s: float | None, now_s: float) -> str:
    """Format how long ago a time was, both in Unix seconds."""
    return f"{duration(now_s - moment_s)} ago" if moment_s else ""


def date(moment_s: float | None) -> str:
    """Format a Unix time in seconds.

    Example:
        >>> date(0.5)
        '1970-01-01 00:00:00 UTC'
    """
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M:%S} UTC" if moment_s else ""


def millimetres(value: float | None) -> str:
    """Format an error in mm.

    Example:
        >>> millimetres(12.345), millimetres(None)
        ('12.3 mm', '')
    """
    return "" if value is None else f"{value:.1f} mm"


def bare_millimetres(value: float | None) -> str:
    """Format an error in mm for the column of a table.

    Example:
        >>> bare_millimetres(12.345), bare_millimetres(None)
        ('12.3', '–')
    """
    return "–" if value is None else f"{value:.1f}"
