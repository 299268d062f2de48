"""The curve of the best so far, as a picture within the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 150
_LEFT, _BOTTOM, _TOP, _RIGHT = 52, 26, 10, 10


@dataclass(frozen=True)
class Curve:
    """What a template needs to draw it.

    Attributes:
        points: Of the line, in the picture's units.
        dots: Where the best changed: x, y, what to say.
        low: Least error, as text; likewise high, and the end of the time axis.
        high: See low.
        end: See low.
    """

    points: str
    dots: tuple[tuple[float, float, str], ...]
    low: str
    high: str
    end: str


def curve(values: Sequence[tuple[float, float]]) -> Curve | None:
    """Return the picture of a falling error, None where there is nothing to see yet.

    Args:
        values: (minutes, mm), in order.

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
