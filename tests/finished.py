"""Storages with a finished trial, for what is done with trials afterwards."""

from __future__ import annotations

from pathlib import Path

from handssl.data.splits import StudyData
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.training import Trial
from handssl.training.config import PretrainConfig

TRIAL = "abcd" + 12 * "0"
SHORTEST = PretrainConfig.parse(
    {
        "composition": ["rotate"],
        "epochs": 1,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 0},
    }
)


def train(storage: Path, data: Path, config: PretrainConfig, dataset: str) -> TrialRecord:
    """Train the trial `TRIAL` for one epoch and record it; return the record."""
    ledger = Ledger(storage)
    (result,) = Trial(config, data, ledger.folder(TRIAL)).epochs()
    return save(ledger, TRIAL, config, result.metrics, f"{dataset} {StudyData(data).fingerprint}")


def save(
    ledger: Ledger,
    trial: str,
    config: PretrainConfig,
    metrics: dict[str, float],
    labelled: str,
    *,
    cell: str = "",
    objective: str = "",
) -> TrialRecord:
    """Record a trial or a reference as completed after its only epoch."""
    record = TrialRecord(
        trial_id=trial,
        study="hands",
        stage="s",
        cell=cell or f"{config.objective} rotate",
        composition="rotate",
        objective=objective or config.objective,
        block=1,
        outcome="completed",
        epoch=1,
        epochs=1,
        metrics=metrics,
        config=config.model_dump(mode="json"),
        tags={"data_labelled": labelled},
    )
    ledger.save(record)
    return record


def link(storage: Path, store: Path) -> None:
    """Make a packed store one of the storage's own."""
    (storage / "stores").mkdir()
    (storage / "stores" / "one").symlink_to(store)
