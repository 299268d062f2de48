"""Rows: one trial or reference of one block each, and whom it can be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from handssl.tracking.record import EpochMetrics, Outcome, TrialRecord

Measure = Literal["median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm"]
MEASURES: tuple[Measure, ...] = ("median_mm", "mpje_mm", "test_median_mm", "test_mpje_mm")
REFERENCE_OBJECTIVES = ("reference", "supervised")


@dataclass(frozen=True)
class Row:
    """One trial, or one reference, of one block.

    Attributes:
        label: The cell, or the reference.
        composition: In canonical order, `none` if empty.
        objective: What the encoder was trained for.
        block: The seed.
        outcome: How it ended for its stage; `running` also after an interruption.
        epoch: The last one recorded.
        epochs: Planned.
        median_mm: The primary measure on `select` after that epoch; None if there is none.
        mpje_mm: Mean of the same errors.
        test_median_mm: The primary measure on `test`; only of finished trials.
        test_mpje_mm: Mean of the same errors.
        kind: `reference` for mean pose, random encoder and supervised.
        curve: (epoch, median on `select` in mm), in order of epoch.
        stage: Name of the stage that asks for it.
        stage_kind: Of that stage; empty where nobody knows.
        data: What tables call its data, where they are not the study's.
        planned: Whether the plan of now asks for it, not an earlier one alone.
        relative_on: `mixed`: the transformations on the relative objective.
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
    stage: str = ""
    stage_kind: str = ""
    data: str = ""
    planned: bool = True
    relative_on: str = ""

    @property
    def settings(self) -> str:
        """The settings of its own that its label names, as `optimizer.lr_base=0.001`."""
        head = f"{self.objective} {self.composition}"
        if not self.label.startswith(f"{head} "):
            return ""
        rest = self.label.removeprefix(head).removesuffix(f" on {self.data}" if self.data else "")
        return rest.replace(f" ({self.relative_on})" if self.relative_on else "", "", 1).strip()

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
        stage=record.stage,
        data=record.cell.partition(" on ")[2],
        relative_on="+".join(record.config.get("relative_on", ())),
    )
