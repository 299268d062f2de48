"""Rates measured in turns, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rate:
    """What was measured.

    Attributes:
        name: Of the way.
        per_s: Median rate over the rounds.
        spread: (least, largest) over the rounds.
    """

    name: str
    per_s: float
    spread: tuple[float, float]


def in_turns(
    ways: Mapping[str, Callable[[], int]],
    *,
    rounds: int,
    on_progress: OnProgress | None = None,
    before: Callable[[], None] | None = None,
) -> dict[str, Rate]:
    """Measure several ways of doing things, one after the other, several times over.

    Args:
        ways: Name to what is timed; it returns how many items it did.
        rounds: Times that each is measured.
        on_progress: Called with (measurements done, in all).
        before: Called before each, not timed.

    Returns:
        The rates by name.

    Example:
        >>> in_turns({"sum": lambda: sum(range(1000))}, rounds=3)["sum"].per_s > 0
        True
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for number, (name, way) in enumerate(ways.items(), start=1):
            if before is not None:
                before()
            start_s = time.perf_counter()
            items = way()
            found[name].append(items / (time.perf_counter() - start_s))
            if on_progress is not None:
                on_progress(turn * len(ways) + number, rounds * len(ways))
    return {
        name: Rate(name, statistics.median(rates), (min(rates), max(rates)))
        for name, rates in found.items()
    }
