"""Blocks that effects leave out, and for want of which compositions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from handssl.report.effects.contrasts import Composition
from handssl.report.rows import Row


@dataclass(frozen=True)
class BlockGap:
    """A block that effects leave out.

    Attributes:
        block: The seed.
        cells: Each composition that it lacks, as its cell is labelled, with the reason.
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
    """Return what a block lacks; None if it has all.

    Args:
        block: The seed.
        wanted: Compositions that it needs.
        usable: Those that it has.
        rows: Of the stage.
        labels: The cell that stands for each composition.
    """
    own = {row.label: row for row in rows if row.block == block}
    found = []
    for composition in wanted:
        if composition not in usable:
            label = labels.get(composition, "+".join(composition) or "none")
            found.append((label, _why(own.get(label))))
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
