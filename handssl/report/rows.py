"""Rows of a report: one trial or reference of one block each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from handssl.ledger.record import EpochMetrics, Outcome, TrialRecord
from handssl.ledger.references import REFERENCE_OBJECTIVES

Measure = Literal[
    "median_mm", "aligned_mm", "mpje_mm", "test_median_mm", "test_aligned_mm", "test_mpje_mm"
]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class Row:
    """One trial, or one reference, of one block.

    Attributes:
        label: Label of the cell or the reference.
        composition: Composition in canonical order, `none` if empty.
        objective: Name of the objective.
        block: Seed of the block.
        outcome: Outcome in its stage; `running` also after an interruption.
        epoch: Last recorded epoch.
        epochs: Planned number of epochs.
        median_mm: Primary metric on `select` after the last epoch, in mm; None if missing.
        mpje_mm: Mean of the same errors, in mm.
        test_median_mm: Primary metric on `test`, in mm; only for finished trials.
        test_mpje_mm: Mean of the same errors, in mm.
        aligned_mm: Median error on `select` after Procrustes alignment, in mm.
        test_aligned_mm: The same on `test`, in mm.
        kind: `reference` for supervised and for what is not trained, else `trial`.
        curve: (epoch, median on `select` in mm), ordered by epoch.
        stage: Name of the stage that contains it.
        stage_kind: Kind of that stage; empty if unknown.
        data: Name of its data in tables, if it differs from the study's data.
        planned: Whether it belongs to the current plan, not only to an earlier one.
        relative_on: `mixed`: the transformations of the relative term.
        margin_mm: Margin of equivalence of its stage in mm; 0: none.
        noise_mm: Standard deviation of repeats that differ in rounding alone, in mm; 0 if unknown.
        trial_id: Id of the trial; empty if unknown.
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
    aligned_mm: float | None = None
    test_aligned_mm: float | None = None
    kind: Literal["trial", "reference"] = "trial"
    curve: tuple[tuple[int, float], ...] = ()
    stage: str = ""
    stage_kind: str = ""
    data: str = ""
    planned: bool = True
    relative_on: str = ""
    margin_mm: float = 0.0
    noise_mm: float = 0.0
    trial_id: str = ""

    @property
    def settings(self) -> str:
        """Settings in its label that are specific to the cell, e.g. `optimizer.lr_base=0.001`."""
        head = f"{self.objective} {self.composition}"
        if not self.label.startswith(f"{head} "):
            return ""
        rest = self.label.removeprefix(head).removesuffix(f" on {self.data}" if self.data else "")
        return rest.replace(f" ({self.relative_on})" if self.relative_on else "", "", 1).strip()

    @property
    def finished(self) -> bool:
        """Whether it completed its last epoch and was measured."""
        return self.outcome == "completed" and self.median_mm is not None


def row_of(record: TrialRecord, history: Sequence[EpochMetrics] = ()) -> Row:
    """Return the row of a trial's record.

    Args:
        record: Record of the trial.
        history: Its epochs; references only have epoch 0, which is not a point of a curve.

    Example:
        >>> record = TrialRecord(trial_id="0" * 16, study="s", stage="objectives", epochs=6,
        ...     cell="relative rotate", composition="rotate", objective="relative", block=1,
        ...     outcome="completed", epoch=6, metrics={"median_mm": 62.0})
        >>> row_of(record).finished
        True
    """
    # Imported here, because it imports torch, which a page does not need.
    from handssl.evaluation.metric_names import aligned_mm

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
        aligned_mm=aligned_mm(record.metrics),
        test_aligned_mm=aligned_mm(record.metrics, test=True),
        kind="reference" if is_reference else "trial",
        curve=tuple((epoch, value) for epoch, value in curve if value is not None),
        stage=record.stage,
        data=record.cell.partition(" on ")[2],
        relative_on="+".join(record.config.get("relative_on", ())),
        trial_id=record.trial_id,
    )


def of_stage(stage: str, planned: Mapping[str, str]) -> dict[str, Any]:
    """Return what a plan says about the stage of a row: its kind and margin of equivalence.

    Args:
        stage: Name of the stage.
        planned: The plan, dotted names to text.

    Example:
        >>> of_stage("objectives", {"stages.objectives.kind": "objectives"})
        {'stage_kind': 'objectives', 'margin_mm': 0.0}
    """
    return {
        "stage_kind": planned.get(f"stages.{stage}.kind", ""),
        "margin_mm": float(planned.get(f"stages.{stage}.margin_mm", 0.0)),
    }
