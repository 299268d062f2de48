"""Asynchronous successive halving as one would write it down first: lists and loops."""

from __future__ import annotations

from collections.abc import Sequence


def decide_all(
    results: Sequence[tuple[str, int, float]], *, grace: int, factor: float, epochs: int
) -> list[bool]:
    """Return for each (trial, epoch, value) in order of arrival whether the trial goes on.

    At a rung, a trial goes on if it is no worse than the best 1/factor share (linearly
    interpolated) of those that reached the rung before it.
    """
    rungs = []
    rung = float(grace)
    while rung <= epochs * (1 + 1e-12):
        rungs.append(rung)
        rung *= factor
    seen: dict[float, dict[str, float]] = {rung: {} for rung in rungs}
    decisions = []
    for trial, epoch, value in results:
        goes_on = True
        for rung in reversed(rungs):
            if epoch < rung:
                continue
            if trial in seen[rung]:
                break
            earlier = sorted(seen[rung].values())
            if earlier:
                position = (len(earlier) - 1) / factor
                low = int(position)
                high = min(low + 1, len(earlier) - 1)
                cut = earlier[low] + (earlier[high] - earlier[low]) * (position - low)
                goes_on = value <= cut + 1e-9
            seen[rung][trial] = value
            break
        decisions.append(goes_on)
    return decisions
