"""Last values that the estimate of effects lacks, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handssl.report.effects.stage_grid import StageGrid
from handssl.report.rows import Row


@dataclass(frozen=True)
class BlockGap:
    """A block without some of the last values that the estimate needs.

    Attributes:
        block: Seed of the block.
        cells: (label of the cell, reason) of each missing one.
        used: Whether the estimate uses the other cells of the block; with fewer than half of them
            it leaves the block out.
    """

    block: int
    cells: tuple[tuple[str, str], ...]
    used: bool


def gaps_of(grid: StageGrid) -> Iterator[BlockGap]:
    """Return the gaps of each block that has any."""
    used = grid.used_blocks()
    for block in grid.grids:
        by_label = {row.label: row for row in grid.rows if row.block == block}
        missing = [one for one in grid.wanted(block) if one not in grid.finished(block)]
        labels = [grid.labels.get(one, "+".join(one) or "none") for one in missing]
        cells = tuple((label, _why(by_label.get(label))) for label in labels)
        if cells:
            yield BlockGap(block, cells, block in used)


def _why(row: Row | None) -> str:
    if row is None:
        return "not begun"
    return "not finished" if row.outcome in ("running", "completed") else row.outcome
