"""Estimate of the peak disk space of a study."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from handssl.evaluation.predictions import HAND_BYTES
from handssl.planning.data import DataFacts
from handssl.planning.trial_size import trial_size
from handssl.study.trials import PlannedTrial
from handssl.training import Execution

# An epoch's metrics in the ledger, in the outbox and in MLflow; measured on the smoke study.
_RECORD_BYTES = 40_000


@dataclass(frozen=True)
class Disk:
    """Disk space in bytes by purpose.

    Attributes:
        checkpoints: Checkpoints of all trials that are kept.
        writing: One more checkpoint of each running trial, while it is written.
        encoders: Encoders of the completed trials.
        predictions: Predictions of the completed trials and references.
        data: Data still to be prepared.
        records: Records in the ledger and in MLflow.
        free: Free space of the disk that holds the storage.
    """

    checkpoints: int
    writing: int
    encoders: int
    predictions: int
    data: int
    records: int
    free: int

    @property
    def peak(self) -> int:
        """Sum of all purposes."""
        made = self.checkpoints + self.writing + self.encoders + self.predictions
        return made + self.data + self.records

    @property
    def fits(self) -> bool:
        """Whether the peak fits into the free space."""
        return self.peak <= self.free


def disk_peak(
    missing: Iterable[tuple[PlannedTrial, float, float]],
    data: Iterable[DataFacts],
    storage: Path,
    *,
    slots: int,
    hands: float = 0.0,
) -> Disk:
    """Return the disk space that missing trials will add.

    Args:
        missing: (trial, epochs it still trains, probability that it runs to the end).
        data: Facts about the data that the trials read.
        storage: Folder of the results; it need not exist yet.
        slots: Number of trials that run at once.
        hands: Expected number of hands whose predictions are kept, over all trials.
    """
    kept = Execution().keep
    checkpoints = encoders = records = 0.0
    largest = 0
    for trial, epochs, chance in missing:
        weight = trial_size(trial.config)
        checkpoints += weight.checkpoint_bytes * min(kept, max(1.0, epochs))
        encoders += weight.encoder_bytes * chance
        records += epochs * _RECORD_BYTES
        largest = max(largest, weight.checkpoint_bytes)
    to_make = sum(facts.bytes_to_make for facts in data)
    free = shutil.disk_usage(_there(storage)).free
    return Disk(
        checkpoints=round(checkpoints),
        writing=largest * slots,
        encoders=round(encoders),
        predictions=round(hands * HAND_BYTES),
        data=to_make,
        records=round(records),
        free=free,
    )


def _there(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
