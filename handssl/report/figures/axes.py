"""Axes, scales and names that the figures share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from handssl.report.figures.svg import Scale, line, padded_scale, text

WIDTH = 480
"""Width of a figure in pixels of its view box."""
LONGEST_NAME = 26
"""Number of characters of a name at the left of a line; longer ones are cut."""
_CHARACTER_WIDTH = 7.4


def bottom_axis(
    scale: Scale,
    bottom: float,
    title: str = "",
    *,
    top: float | None = None,
    ticks: Sequence[float] | None = None,
) -> list[str]:
    """Return a horizontal axis: numbers below the plot, a title below them.

    Args:
        scale: Scale from left to right.
        bottom: Lower end of the plot in pixels; the axis takes 40 more with its title.
        title: Title; may be empty.
        top: Upper end of the vertical grid lines in pixels; None: no lines.
        ticks: Values that are marked; default: about six round ones.
    """
    parts = []
    for tick in scale.ticks(6) if ticks is None else ticks:
        if top is not None:
            parts.append(line(scale(tick), top, scale(tick), bottom, "grid"))
        parts.append(text(f"{tick:g}", scale(tick), bottom + 16, anchor="middle", class_="tick"))
    middle = (scale.start + scale.end) / 2
    named = [text(title, middle, bottom + 34, anchor="middle", class_="tick")] if title else []
    return [*parts, *named]


def left_axis(
    scale: Scale,
    left: float,
    right: float,
    *,
    count: int = 4,
    words: Callable[[float], str] = "{:g}".format,
) -> list[str]:
    """Return a vertical axis: numbers left of the plot, horizontal grid lines in it.

    Args:
        scale: Scale from bottom to top.
        left: Left end of the lines in pixels.
        right: Right end of the lines in pixels.
        count: About as many values are marked.
        words: Text of a value.
    """
    parts = []
    for tick in scale.ticks(count):
        parts.append(line(left, scale(tick), right, scale(tick), "grid"))
        name = text(words(tick), left - 7, scale(tick) + 4, anchor="end", class_="tick")
        parts.append(name)
    return parts


def lines_scale(values: Sequence[float], names: Iterable[str]) -> Scale:
    """Return the horizontal scale of a figure with a named line for each row.

    Args:
        values: Values that must fit.
        names: Names at the left, as from `line_name`.
    """
    longest = max((len(shortened(name)) for name in names), default=0)
    return padded_scale(values, _CHARACTER_WIDTH * longest + 24, WIDTH - 30)


def line_name(name: str, scale: Scale, y: float) -> str:
    """Return the name of a line, left of the plot."""
    return text(shortened(name), scale.start - 14, y + 4, anchor="end", class_="name")


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name of at most so many characters, with an ellipsis if it was cut.

    Example:
        >>> shortened("color_jitter", 6)
        'color…'
    """
    return name if len(name) <= longest else name[: longest - 1] + "…"
