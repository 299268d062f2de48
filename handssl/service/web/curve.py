"""Curve of the best result so far, drawn as SVG in the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 150
_LEFT, _BOTTOM, _TOP, _RIGHT = 52, 26, 10, 10


@dataclass(frozen=True)
class Curve:
    """The curve as values for the page's template.

    Attributes:
        points: Points of the line, `x,y` pairs in pixels, as text.
        dots: x, y (pixels) and tooltip of each point at which the best changed.
        low: Label of the lowest error, mm.
        high: Label of the highest error, mm.
        end: Label of the end of the time axis, in minutes.
    """

    points: str
    dots: tuple[tuple[float, float, str], ...]
    low: str
    high: str
    end: str


def curve(values: Sequence[tuple[float, float]]) -> Curve | None:
    """Return the curve of a falling error, None if there are no values yet.

    Args:
        values: (minutes, mm) of each improvement, in order.

    Example:
        >>> curve(((0.0, 30.0), (2.0, 20.0))).low
        '20.0'
    """
    if not values:
        return None
    end, high, low = values[-1][0] or 1.0, values[0][1], values[-1][1]
    span = (high - low) or 1.0

    def place(minutes: float, error: float) -> tuple[float, float]:
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * minutes / end
        return round(x, 1), round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (high - error) / span, 1)

    dots = tuple((*place(*one), f"{one[1]:.1f} mm after {one[0]:.1f} min") for one in values)
    steps = [(dots[0][0], dots[0][1])]
    for x, y, _ in dots[1:]:
        steps += [(x, steps[-1][1]), (x, y)]  # the best holds until it is undercut
    points = " ".join(f"{x},{y}" for x, y in steps)
    return Curve(points, dots, f"{low:.1f}", f"{high:.1f}", f"{end:.1f} min")
