"""Successive halving by cohorts over complete curves, in plain loops."""

import math


def survivors(curves, rungs, eta):
    """Return for each rung who goes on; `curves` maps a name to its value after every epoch.

    A value that is not finite means that the trial diverged at that epoch and has none after.
    """
    alive, found = list(curves), []
    for epoch in rungs:
        ranked = []
        for name in alive:
            known = curves[name][:epoch]
            if len(known) == epoch and all(math.isfinite(value) for value in known):
                ranked.append((known[-1], name))
        ranked.sort()
        keep = max(1, int(len(alive) / eta))
        alive = [name for _, name in ranked[:keep]]
        found.append(set(alive))
    return found


def asynchronous(arrivals, eta):
    """Return who goes on from one rung, judged one after the other by textbook."""
    seen, goes_on = [], []
    for name, value in arrivals:
        seen.append((value, name))
        best = sorted(seen)[: max(1, int(len(seen) / eta))]
        goes_on.append((value, name) in best)
    return goes_on
