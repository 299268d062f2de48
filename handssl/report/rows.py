"""Rows: one trial each, and the cells they belong to, ranked only where ranking is fair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from handssl.tracking.record import EpochMetrics, Outcome, TrialRecord

Measure = Literal["median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm"]
REFERENCE_OBJECTIVES = ("reference", "supervised")


@dataclass(frozen=True)
class Row:
    """One trial, or one reference, of one block.

    Attributes:
        label: The cell, or the reference.
        composition: In canonical order, `none` if empty.
        objective: What the encoder was trained for.
        block: The seed.
        outcome: How it ended; `running` also after an interruption.
        epoch: The last one recorded.
        epochs: Planned.
        median_mm: The primary measure on `select` after that epoch; None if there is none.
        mpje_mm: Mean of the same errors.
        test_median_mm: The primary measure on `test`; only of finished trials.
        test_mpje_mm: Mean of the same errors.
        kind: `reference` for mean pose, random encoder and supervised.
        curve: (epoch, median on `select` in mm), in order of epoch.
    """

    label: str
    composition: str
    objective: str
    block: int
    outcome: Outcome
    epoch: int
    epochs: int
    median_mm: float | None = None
    mpje_mm: float | None = None
    test_median_mm: float | None = None
    test_mpje_mm: float | None = None
    kind: Literal["trial", "reference"] = "trial"
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def finished(self) -> bool:
        """Whether it ran to its last epoch and was measured."""
        return self.outcome == "completed" and self.median_mm is not None


def row_of(record: TrialRecord, history: Sequence[EpochMetrics] = ()) -> Row:
    """Return the row of a trial's record.

    Args:
        record: The trial.
        history: Its epochs; references have epoch 0 only, which is no point of a curve.

    Example:
        >>> record = TrialRecord(trial_id="0" * 16, study="s", stage="objectives", epochs=6,
        ...     cell="relative rotate", composition="rotate", objective="relative", block=1,
        ...     outcome="completed", epoch=6, metrics={"median_mm": 62.0})
        >>> row_of(record).finished
        True
    """
    curve = ((entry.epoch, entry.metrics.get("median_mm")) for entry in history if entry.epoch)
    is_reference = record.objective in REFERENCE_OBJECTIVES
    return Row(
        label=record.cell,
        composition=record.composition,
        objective=record.objective,
        block=record.block,
        outcome=record.outcome,
        epoch=record.epoch,
        epochs=record.epochs,
        median_mm=record.metrics.get("median_mm"),
        mpje_mm=record.metrics.get("mpje_mm"),
        test_median_mm=record.metrics.get("test_median_mm"),
        test_mpje_mm=record.metrics.get("test_mpje_mm"),
        kind="reference" if is_reference else "trial",
        curve=tuple((epoch, value) for epoch, value in curve if value is not None),
    )


@dataclass(frozen=True)
class CellRow:
    """A cell, or a reference, with its rows in all blocks of the report.

    Attributes:
        rows: In order of block, at least one.
        blocks: All blocks of the report; the cell may lack some after an interruption.
    """

    rows: tuple[Row, ...]
    blocks: tuple[int, ...]

    @property
    def first(self) -> Row:
        """Any of the rows, for what they share: label, composition, objective, kind, epochs."""
        return self.rows[0]

    @property
    def name(self) -> str:
        """The composition; of a reference its label."""
        return self.first.label if self.first.kind == "reference" else self.first.composition

    @property
    def finished(self) -> bool:
        """Whether it finished in every block: only then is its mean comparable with others."""
        return len(self.rows) == len(self.blocks) and all(row.finished for row in self.rows)

    @property
    def epochs_reached(self) -> tuple[int, ...]:
        """The last epochs of the blocks, each once, ascending."""
        return tuple(sorted({row.epoch for row in self.rows}))

    def mean(self, measure: Measure) -> float | None:
        """Return the mean over blocks; None unless every block has it, at one epoch."""
        values = [getattr(row, measure) for row in self.rows]
        complete = len(values) == len(self.blocks) and None not in values
        return fmean(values) if complete and len(self.epochs_reached) == 1 else None

    def by_block(self) -> dict[int, Row | None]:
        """Return the row of every block, None where there is none yet."""
        return dict.fromkeys(self.blocks) | {row.block: row for row in self.rows}


@dataclass(frozen=True)
class Ranking:
    """The cells of a report.

    Attributes:
        finished: By mean of the primary measure, references among them.
        early: Stopped, diverged, failed or not yet done in some block; the farthest first.
        blocks: Ascending.
    """

    finished: tuple[CellRow, ...]
    early: tuple[CellRow, ...]
    blocks: tuple[int, ...]


def rank(rows: Iterable[Row]) -> Ranking:
    """Group rows into cells and rank those that finished in every block.

    Trials that ended early were measured at another epoch: they are listed apart, unranked.

    Args:
        rows: Of one study.

    Example:
        >>> done = Row("contrastive blur", "blur", "contrastive", 1, "completed", 6, 6, 80.0)
        >>> early = Row("contrastive noise", "noise", "contrastive", 1, "stopped", 2, 6, 70.0)
        >>> [cell.name for cell in rank([early, done]).finished]
        ['blur']
    """
    cells = _cells(sorted(rows, key=lambda row: (row.block, row.label)))
    finished = [cell for cell in cells if cell.finished]
    early = [cell for cell in cells if not cell.finished]
    return Ranking(
        tuple(sorted(finished, key=lambda cell: (cell.mean("median_mm") or 0.0, cell.first.label))),
        tuple(sorted(early, key=_farthest_first)),
        cells[0].blocks if cells else (),
    )


def _cells(rows: Sequence[Row]) -> list[CellRow]:
    blocks = tuple(sorted({row.block for row in rows}))
    groups: dict[tuple[str, int, int], list[Row]] = {}
    seen: Counter[tuple[str, int, int]] = Counter()
    for row in rows:
        # A storage may hold a cell twice, run with other settings: two lines, never one mean.
        key = (row.label, row.epochs, row.block)
        groups.setdefault((row.label, row.epochs, seen[key]), []).append(row)
        seen[key] += 1
    return [CellRow(tuple(group), blocks) for group in groups.values()]


def _farthest_first(cell: CellRow) -> tuple[int, float, float, str]:
    values = [row.median_mm for row in cell.rows if row.median_mm is not None]
    farthest = max(row.epoch for row in cell.rows)
    return (not values, -farthest, fmean(values) if values else 0.0, cell.first.label)
