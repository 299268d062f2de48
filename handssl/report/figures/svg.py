"""Helpers for SVG figures: elements, scales and label placement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

OBJECTIVE_CLASSES = ("contrastive", "relative", "mixed", "equivariant")


def element(tag: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; underscores in names become hyphens, `class_` becomes `class`.

    Args:
        tag: Name of the element.
        content: Inner markup, already escaped.
        attributes: Attributes; values are escaped and floats rounded to hundredths.

    Example:
        >>> element("circle", cx=1.234, class_="dot")
        '<circle cx="1.23" class="dot"/>'
    """
    pairs = (f' {k.rstrip("_").replace("_", "-")}="{_value(v)}"' for k, v in attributes.items())
    head = f"<{tag}{''.join(pairs)}"
    return f"{head}>{content}</{tag}>" if content else f"{head}/>"


def text(content: str, x: float, y: float, *, anchor: str = "start", class_: str = "") -> str:
    """Return a text element; the content is escaped here."""
    extra = {"class_": class_} if class_ else {}
    return element("text", escape(content), x=x, y=y, text_anchor=anchor, **extra)


def tooltip(content: str) -> str:
    """Return a title element, which browsers show as a tooltip."""
    return element("title", escape(content))


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def marker(x: float, y: float, class_: str, hint: str, *, radius_px: float = 5) -> str:
    """Return a mark: a diamond for the relative objective, a disc for any other.

    Args:
        x: Horizontal position of the centre in pixels.
        y: Vertical position of the centre in pixels, downwards.
        class_: CSS classes, including that of the objective.
        hint: Tooltip of the mark.
        radius_px: Radius of the disc in pixels; the diamond has about the same area.
    """
    if "relative" in class_.split():
        r = radius_px * 1.25
        shape = f"M{x:.2f} {y - r:.2f}l{r:.2f} {r:.2f}l{-r:.2f} {r:.2f}l{-r:.2f} {-r:.2f}z"
        return element("path", tooltip(hint), d=shape, class_=class_)
    return element("circle", tooltip(hint), cx=x, cy=y, r=radius_px, class_=class_)


def figure(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    """Return an svg element that scales with the page.

    Args:
        width: Width of the view box.
        height: Height of the view box.
        label: Label for screen readers.
        parts: Elements, from back to front.
    """
    box = f"0 0 {width:g} {height:g}"
    return element("svg", "".join(parts), viewBox=box, role="img", aria_label=label)


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
        start: Pixel of `low`; may be greater than `end` for an axis that points up.
        end: Pixel of `high`.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Return about `count` round values within the scale."""
        step = _round_step((self.high - self.low) / max(count, 1))
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def padded_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale that covers the values with a margin of a twentieth on both sides."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = (high - low or 1.0) / 20
    return Scale(low - margin, high + margin, start, end)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart: each as close to its desired position as the gap allows.

    Args:
        wanted: Desired positions, in any order.
        gap: Minimum distance between two labels.
        low: Minimum position.
        high: Maximum position, if all fit.

    Returns:
        A position for each label, in the given order.

    Example:
        >>> spread([10, 11, 30], gap=6, low=0, high=40)
        [7.5, 13.5, 30.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups: list[list[int]] = []
    for index in order:
        groups.append([index])
        while len(groups) > 1 and _overlap(groups[-2], groups[-1], wanted, gap, low, high):
            groups[-2:] = [groups[-2] + groups[-1]]
    places = [0.0] * len(wanted)
    for group in groups:
        top = _top(group, wanted, gap, low, high)
        for rank, index in enumerate(group):
            places[index] = top + rank * gap
    return places


def _overlap(
    a: Sequence[int], b: Sequence[int], wanted: Sequence[float], gap: float, low: float, high: float
) -> bool:
    bottom = _top(a, wanted, gap, low, high) + (len(a) - 1) * gap
    return _top(b, wanted, gap, low, high) - bottom < gap


def _top(
    group: Sequence[int], wanted: Sequence[float], gap: float, low: float, high: float
) -> float:
    extent = (len(group) - 1) * gap
    centre = sum(wanted[i] for i in group) / len(group)
    return max(min(centre - extent / 2, high - extent), low)


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)


def _value(value: object) -> str:
    return f"{round(value, 2):g}" if isinstance(value, float) else escape(str(value))
