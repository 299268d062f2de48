"""Measure rates in turns, so that other load on the machine affects all of them equally."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rate:
    """A measured rate.

    Attributes:
        name: Name of the measured function.
        per_s: Median rate over the rounds in items per second.
        spread: (smallest, largest) rate over the rounds.
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
    """Measure several functions in turns, over several rounds.

    Args:
        ways: Functions to measure by name; each returns the number of processed items.
        rounds: Number of measurements of each.
        on_progress: Called with (measurements done, total measurements).
        before: Called before each measurement, not timed.

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
