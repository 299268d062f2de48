"""The compositions of a stage in its blocks, with what the plan says of their skeletons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from handssl.report.rows import Row
from handssl.report.sections import Section
from handssl.scheduling.skeletons import planned_skeletons
from handssl.stats.contrasts import Composition
from handssl.stats.skeleton import subsets

_USABLE = ("completed", "stopped", "running")
Grid = dict[Composition, Row]


@dataclass(frozen=True)
class StageGrid:
    """Trials of a stage by block and composition.

    Attributes:
        rows: Trials of the stage.
        stage: Name of the stage.
        kind: Kind of the stage.
        planned: The current plan, dotted names to text.
    """

    rows: tuple[Row, ...]
    stage: str
    kind: str
    planned: Mapping[str, str]

    @classmethod
    def of(cls, section: Section, planned: Mapping[str, str]) -> StageGrid:
        """Return the trials of a section."""
        rows = tuple(row for row in section.rows if row.kind == "trial")
        return cls(rows, section.stage, section.stage_kind, planned)

    @cached_property
    def labels(self) -> dict[Composition, str]:
        """Label of the cell with the smallest mean for each composition, the same in all blocks."""
        last: dict[Composition, dict[str, list[float]]] = {}
        for row in sorted(self.rows, key=lambda one: one.label):
            value = last_mm(row) if row.finished else math.inf
            last.setdefault(_composition(row), {}).setdefault(row.label, []).append(value)
        return {c: min(cells, key=lambda one: fmean(cells[one])) for c, cells in last.items()}

    @cached_property
    def names(self) -> list[str]:
        """The transformations, ordered."""
        return sorted({name for composition in self.labels for name in composition})

    @cached_property
    def everything(self) -> list[Composition]:
        """All 2^k compositions of the transformations."""
        return subsets(self.names)

    @property
    def has_effects(self) -> bool:
        """Whether it is a grid, or a stage that was planned as one or as a fraction of one."""
        return len(self.names) > 1 and (
            self.kind == "compositions" or len(self.labels) == self._size
        )

    @cached_property
    def grids(self) -> dict[int, Grid]:
        """Usable rows of each block by composition; all blocks of the plan, or those with rows."""
        blocks = self._planned_blocks or sorted({row.block for row in self.rows})
        grids: dict[int, Grid] = {block: {} for block in blocks}
        for row in self.rows:
            composition = _composition(row)
            mine = row.label == self.labels[composition] and row.block in grids
            if mine and (row.curve or row.finished) and row.outcome in _USABLE:
                grids[row.block][composition] = row
        return grids

    @property
    def is_fraction(self) -> bool:
        """Whether the plan has no more than a fraction of the compositions."""
        return self.planned.get(f"stages.{self.stage}.design") == "fraction"

    @cached_property
    def has_stopped(self) -> bool:
        """Whether trials were stopped early."""
        return any(
            row.outcome == "stopped" for grid in self.grids.values() for row in grid.values()
        )

    def skeleton(self, block: int) -> list[Composition]:
        """Return the compositions of a block's skeleton or fraction; none without one."""
        dealt = planned_skeletons(self.planned, self.stage, self.names)
        if dealt is None or block not in self._planned_blocks:
            return []
        return sorted(dealt.of(self._planned_blocks.index(block)))

    def wanted(self, block: int) -> Sequence[Composition]:
        """Return the compositions whose last values the estimate needs in a block."""
        needed = self.skeleton(block) if self.is_fraction or self.has_stopped else []
        return needed or self.everything

    def finished(self, block: int) -> dict[Composition, float]:
        """Return the last values in mm that the estimate can use in a block."""
        grid = self.grids[block]
        return {c: last_mm(grid[c]) for c in self.wanted(block) if c in grid and grid[c].finished}

    def used_blocks(self) -> list[int]:
        """Return the blocks with the last values of at least half of what they need, or four."""
        return [
            block
            for block in self.grids
            if len(self.finished(block)) >= max(len(self.wanted(block)) / 2, min(4, self._size))
        ]

    @property
    def _size(self) -> int:
        """Number of all compositions; 30 cells with a transformation each must not list 2^30."""
        return int(2 ** len(self.names))

    @property
    def _planned_blocks(self) -> list[int]:
        found = self.planned.get("blocks", "").split(",")
        return [int(one) for one in found if one.strip().isdecimal()]


def _composition(row: Row) -> Composition:
    return () if row.composition == "none" else tuple(sorted(row.composition.split("+")))


def last_mm(row: Row) -> float:
    """Return the last recorded value of a row in mm, also where its curve is lost; else NaN."""
    if row.curve:
        return row.curve[-1][1]
    return math.nan if row.median_mm is None else row.median_mm
