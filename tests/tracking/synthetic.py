"""A finished study in a storage and in MLflow, written by the product, with invented numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from handssl.execution.stage_summary import stage_view
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.randomness import numpy_generator
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, plan_stage
from handssl.tracking.tracker import MlflowTracker

GAINS_MM = {"rotate": 9.0, "translate": 5.0, "color_jitter": 4.0, "cutout": 1.5, "blur": -1.0}
SYSTEM = ("cpu_utilization_percentage", "system_memory_usage_megabytes")


def fill(storage: Path, study: Study, *, url: str | None = None) -> Ledger:
    """Record every trial of a study's first stage as completed, and show it in MLflow.

    Args:
        storage: Folder of the results.
        study: The study; stages that depend on another one are left out.
        url: MLflow store; default: SQLite in the storage.
    """
    ledger = Ledger(storage)
    stages = {
        stage.name: plan_stage(study, stage, {}, lambda data: "f" * 8)
        for stage in study.all_stages
        if not study.needs(stage)
    }
    for trial in {one.trial_id: one for trials in stages.values() for one in trials}.values():
        _record(ledger, study.name, trial)
    tracker = MlflowTracker(url or f"sqlite:///{storage}/mlflow.db", study.name, ledger)
    tracker.catch_up()
    for name, trials in stages.items():
        tracker.show_stage(stage_view(study, name, trials, ledger))
    tracker.close(complete=True, timeout_s=120)
    return ledger


def _record(ledger: Ledger, study: str, trial: PlannedTrial) -> None:
    curve = list(_curve(trial))
    record = TrialRecord(
        trial_id=trial.trial_id,
        study=study,
        stage=trial.stage,
        cell=trial.cell,
        composition=trial.composition,
        objective=trial.objective,
        block=trial.block,
        outcome="completed",
        epoch=trial.epochs,
        epochs=trial.epochs,
        metrics=curve[-1],
        tags={"version.python": "3.11"},
        config=trial.config.model_dump(mode="json"),
    )
    ledger.save(record)
    first = 1 if trial.epochs else 0
    for epoch, metrics in enumerate(curve, first):
        ledger.append_epoch(trial.trial_id, epoch, metrics)
    for number in range(4):
        values = {f"system/{name}": 50.0 + number for name in SYSTEM}
        ledger.append_system(trial.trial_id, number, values)


def _curve(trial: PlannedTrial) -> Iterator[dict[str, float]]:
    """Yield an error per epoch that falls to a level set by the composition and the seed."""
    noise = numpy_generator("synthetic", trial.cell, trial.block).normal
    gain = sum(GAINS_MM.get(name, 0.0) for name in trial.config.composition)
    level = {"reference": 58.0, "supervised": 24.0}.get(trial.objective, 45.0 - gain)
    level += float(noise(0.0, 0.5))
    for epoch in range(max(1, trial.epochs)):
        last = epoch + 1 >= trial.epochs
        mm = level + 20.0 * math.exp(-epoch / 2.0) * (not last)
        yield _metrics(trial, epoch, mm, last=last)


def _metrics(trial: PlannedTrial, epoch: int, mm: float, *, last: bool) -> dict[str, float]:
    errors = {"median_mm": mm, "mpje_mm": 1.2 * mm, "aligned_median_mm": 0.6 * mm}
    found = {**errors, "ridge/root_gtroot_20/median_mm": mm, "ridge/lambda_exponent": 3.0}
    if last:
        found |= {f"test_{name}": value + 0.7 for name, value in errors.items()}
    if not trial.epochs:
        return found
    terms = {f"train/loss/{name}": 1.0 / (1 + epoch) for name in trial.config.composition}
    return {
        **found,
        **terms,
        "train/loss": 4.0 / (1 + epoch),
        "train/lr": 1e-3,
        "train/views_per_s": 800.0,
        "train/encoder_views": 1024.0 * (epoch + 1),
        "time/epoch_s": 2.0,
        "diag/effective_rank": 9.0 + epoch,
    }
