"""The most that a study will need on disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from handssl.sweep.plan import PlannedTrial
from handssl.sweep.planning.data import DataFacts
from handssl.sweep.planning.sizes import weigh
from handssl.training import Execution

# An epoch's metrics in the ledger, in the outbox and in MLflow; measured on the smoke study.
_RECORD_BYTES = 40_000


@dataclass(frozen=True)
class Disk:
    """Bytes by what they are for.

    Attributes:
        checkpoints: Those that stay, of every trial.
        writing: One more of each trial under way, while it is written.
        encoders: Of the trials that end.
        data: Still to be made.
        records: Ledger and MLflow.
        free: Of the disk that holds the storage.
    """

    checkpoints: int
    writing: int
    encoders: int
    data: int
    records: int
    free: int

    @property
    def peak(self) -> int:
        """All of it at once."""
        return self.checkpoints + self.writing + self.encoders + self.data + self.records

    @property
    def fits(self) -> bool:
        """Say whether there is room."""
        return self.peak <= self.free


def disk_peak(
    missing: Iterable[tuple[PlannedTrial, float, float]],
    data: Iterable[DataFacts],
    storage: Path,
    *,
    slots: int,
) -> Disk:
    """Return what trials that are still missing will add to the disk.

    Args:
        missing: Each with the epochs it still trains and its chance of coming to the end.
        data: That they read.
        storage: Where all of it goes; it need not be there yet.
        slots: Trials that run at once.
    """
    kept = Execution().keep
    checkpoints = encoders = records = 0.0
    largest = 0
    for trial, epochs, chance in missing:
        weight = weigh(trial.config)
        checkpoints += weight.checkpoint_bytes * min(kept, max(1.0, epochs))
        encoders += weight.encoder_bytes * chance
        records += epochs * _RECORD_BYTES
        largest = max(largest, weight.checkpoint_bytes)
    to_make = sum(facts.bytes_to_make for facts in data)
    free = shutil.disk_usage(_there(storage)).free
    return Disk(round(checkpoints), largest * slots, round(encoders), to_make, round(records), free)


def _there(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
