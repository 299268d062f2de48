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


def left_out_variance(blocks, number, factor, cells):
    """Variance of an effect in a block, each error under a line fitted without its cell."""
    errors = []
    for left_out in blocks[number].final:
        above = below = 0.0
        for other, block in enumerate(blocks):
            kept = [c for c in block.final if other != number or c != left_out]
            x = [block.early[c][-1] for c in kept]
            y = [block.final[c] for c in kept]
            mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
            above += sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
            below += sum((a - mean_x) ** 2 for a in x)
            if other == number:
                at_x, at_y = mean_x, mean_y
        slope = factor * above / below
        block = blocks[number]
        predicted = at_y + slope * (block.early[left_out][-1] - at_x)
        errors.append(block.final[left_out] - predicted)
    n = len(errors)
    mean = sum(errors) / n
    square = sum((e - mean) ** 2 for e in errors) / (n - 1)
    return 4 * square * (1 - n / cells) / n
