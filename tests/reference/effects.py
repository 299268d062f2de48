"""Effects written as the plainest loops."""

from __future__ import annotations


def effect(values, name):
    """Mean with minus mean without; of a pair, half of what one changes about the other."""
    if ":" in name:
        one, other = name.split(":")
        inside = {c: v for c, v in values.items() if other in c}
        outside = {c: v for c, v in values.items() if other not in c}
        return (effect(inside, one) - effect(outside, one)) / 2
    on = [v for c, v in values.items() if name in c]
    off = [v for c, v in values.items() if name not in c]
    return sum(on) / len(on) - sum(off) / len(off)


def halving(curves, rungs, factor, epochs):
    """Survivors of one cohort, rung after rung: trial -> epochs it was trained."""
    alive, trained = sorted(curves), {}
    for rung in rungs:
        for name in alive:
            trained[name] = rung
        alive = sorted(alive, key=lambda name: (curves[name][rung - 1], name))
        alive = alive[: max(1, int(len(alive) / factor))]
    return trained | dict.fromkeys(alive, epochs)
