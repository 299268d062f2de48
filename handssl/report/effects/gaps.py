"""Blocks excluded from effects, with their missing compositions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from handssl.report.rows import Row
from handssl.stats.contrasts import Composition


@dataclass(frozen=True)
class BlockGap:
    """A block that is excluded from effects.

    Attributes:
        block: Seed of the block.
        cells: (label of the cell, reason) of each missing composition.
    """

    block: int
    cells: tuple[tuple[str, str], ...]


def lacking(
    block: int,
    wanted: Sequence[Composition],
    usable: Mapping[Composition, Row],
    rows: Sequence[Row],
    labels: Mapping[Composition, str],
) -> BlockGap | None:
    """Return the missing compositions of a block; None if it is complete.

    Args:
        block: Seed of the block.
        wanted: Required compositions.
        usable: Usable rows of the block by composition.
        rows: Rows of the stage.
        labels: Label of the cell that represents each composition.
    """
    by_label = {row.label: row for row in rows if row.block == block}
    found = []
    for composition in wanted:
        if composition not in usable:
            label = labels.get(composition, "+".join(composition) or "none")
            found.append((label, _why(by_label.get(label))))
    return BlockGap(block, tuple(found)) if found else None


def all_compositions(names: Sequence[str]) -> list[Composition]:
    """Return the 2^k compositions of some transformations.

    Example:
        >>> all_compositions(["a", "b"])
        [(), ('a',), ('b',), ('a', 'b')]
    """
    ordered = sorted(names)
    return [one for size in range(len(ordered) + 1) for one in combinations(ordered, size)]


def _why(row: Row | None) -> str:
    if row is None:
        return "not begun"
    return "not finished" if row.outcome in ("running", "completed") else row.outcome
