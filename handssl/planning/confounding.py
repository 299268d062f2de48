"""Effects that a skeleton confounds, in one block and in all blocks together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from handssl.stats.skeleton import Skeletons, confounded


def within_a_block(skeletons: Skeletons) -> list[tuple[str, ...]]:
    """Return the groups of main effects and pairs confounded in one block; none if it is full."""
    return [] if skeletons.whole else confounded(skeletons.columns, skeletons.cells)


def over_blocks(skeletons: Skeletons, blocks: int) -> list[tuple[str, ...]]:
    """Return the groups that the cosets of several blocks together still confound.

    Two effects can be distinguished if the product of their signs is +1 in one coset and -1 in
    another; within a block it is constant.

    Args:
        skeletons: Skeletons of all blocks.
        blocks: Number of blocks, each with a different coset.

    Example:
        >>> over_blocks(Skeletons(("blur", "rotate", "translate"), 4, (0, 1)), 2)
        []
    """
    ordered = sorted(skeletons.columns)
    rows = [set(one) for position in range(blocks) for one in sorted(skeletons.of(position))]
    groups: dict[tuple[bool, ...], list[str]] = {}
    for size in (1, 2):
        for members in combinations(ordered, size):
            column = tuple(len(row & set(members)) % 2 == size % 2 for row in rows)
            # An effect and its negative are the same column.
            key = column if column[0] else tuple(not sign for sign in column)
            groups.setdefault(key, []).append(":".join(members))
    return [tuple(group) for group in groups.values() if len(group) > 1]


def in_words(groups: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a sentence for each kind of confounding.

    Example:
        >>> in_words([("blur", "rotate:translate")])
        ['main effect blur cannot be distinguished from rotate:translate']
    """
    lines = []
    for group in groups:
        mains = [name for name in group if ":" not in name]
        pairs = [name for name in group if ":" in name]
        if mains:
            rest = ", ".join([*mains[1:], *pairs])
            lines.append(f"main effect {mains[0]} cannot be distinguished from {rest}")
        else:
            lines.append(f"pairs {', '.join(pairs)} cannot be distinguished from each other")
    return lines
