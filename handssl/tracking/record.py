"""The always-on local record of every trial: plain files, no server, nothing half-written.

    <storage>/trials/<trial_id>/trial.json      the trial as it stands, replaced as a whole
    <storage>/trials/<trial_id>/epochs.jsonl    one line an epoch, appended and flushed to disk
    <storage>/trials/<trial_id>/system.jsonl    one line a sample of the machine's load, appended

Each epoch is there exactly once. A line cut off by a crash is dropped when the file is read.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from handssl.config import Config, explain
from handssl.errors import DataError

Outcome = Literal["running", "completed", "stopped", "diverged", "failed"]


class TrialRecord(Config):
    """A trial as it stands.

    Attributes:
        trial_id: Hash of what determines its result.
        study: Name of the study that ran it first; likewise stage.
        cell: Label of the cell, or of the reference.
        composition: In canonical order, `none` if empty.
        objective: What the encoder is trained for, or `reference` where nothing is trained.
        block: The seed.
        outcome: `running` also after an interruption, until the trial is continued.
        epoch: The last one recorded, 0 before the first.
        epochs: Planned.
        metrics: Of that epoch.
        mlflow_run_id: Of its run, once there is one.
        tags: Anything else worth keeping, e.g. why it failed.
        config: The resolved configuration.
    """

    trial_id: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    study: str
    stage: str
    cell: str
    composition: str
    objective: str
    block: int
    outcome: Outcome
    epoch: int = 0
    epochs: int
    metrics: dict[str, float] = Field(default_factory=dict)
    mlflow_run_id: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)


class EpochMetrics(Config):
    """What one epoch gave, or one sample of the machine's load.

    Attributes:
        epoch: Counts from 1, references have a single epoch 0; samples count from 0.
        metrics: By name.
        time_ms: When it was recorded, since 1970. With it a point is the same however often it is
            sent to MLflow, which keeps equal points once. Absent in records of early versions.
    """

    epoch: int
    metrics: dict[str, float]
    time_ms: int | None = None


class TrialStore:
    """Reads and writes the records below one storage; knows all their paths.

    Args:
        storage: Root of all results.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = storage

    def folder(self, trial_id: str) -> Path:
        """Return where a trial keeps its files."""
        return self.storage / "trials" / trial_id

    def load(self, trial_id: str) -> TrialRecord | None:
        """Return a trial's record, None if it was never started.

        Raises:
            DataError: The record is damaged.
        """
        path = self.folder(trial_id) / "trial.json"
        if not path.exists():
            return None
        try:
            return TrialRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            reason = explain(error, TrialRecord, str(path))
            raise DataError(f"{reason}\nremove {path.parent} to run the trial again") from None

    def all(self) -> tuple[TrialRecord, ...]:
        """Return every record, ordered by trial id."""
        files = sorted((self.storage / "trials").glob("*/trial.json"))
        records = (self.load(file.parent.name) for file in files)
        return tuple(record for record in records if record is not None)

    def save(self, record: TrialRecord) -> None:
        """Replace a trial's record as a whole."""
        path = self.folder(record.trial_id) / "trial.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("w", encoding="utf-8") as file:
            file.write(record.model_dump_json(indent=2))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def append_epoch(self, trial_id: str, epoch: int, metrics: dict[str, float]) -> None:
        """Add an epoch; one that is already there is left as it is."""
        known = self.history(trial_id)
        if any(entry.epoch == epoch for entry in known):
            return
        path = self._epochs(trial_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, _line(epoch, metrics), flushed=True)

    def append_system(self, trial_id: str, number: int, metrics: dict[str, float]) -> None:
        """Add a sample of the machine's load; one lost in a crash is no loss."""
        _append(self._system(trial_id), _line(number, metrics), flushed=False)

    def history(self, trial_id: str) -> list[EpochMetrics]:
        """Return the epochs recorded so far, in order of epoch."""
        return _read(self._epochs(trial_id))

    def system(self, trial_id: str) -> list[EpochMetrics]:
        """Return the samples of the machine's load taken so far, in order."""
        return _read(self._system(trial_id))

    def _epochs(self, trial_id: str) -> Path:
        return self.folder(trial_id) / "epochs.jsonl"

    def _system(self, trial_id: str) -> Path:
        return self.folder(trial_id) / "system.jsonl"


def _line(number: int, metrics: dict[str, float]) -> str:
    time_ms = time.time_ns() // 1_000_000
    return EpochMetrics(epoch=number, metrics=metrics, time_ms=time_ms).model_dump_json()


def _append(path: Path, line: str, *, flushed: bool) -> None:
    """Add a line, after a line end where a crash has cut the last one off."""
    with path.open("ab+") as file:
        torn = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        file.write((("\n" if torn else "") + line + "\n").encode())
        file.flush()
        if flushed:
            os.fsync(file.fileno())


def _read(path: Path) -> list[EpochMetrics]:
    if not path.exists():
        return []
    entries: dict[int, EpochMetrics] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _parse(line)
        if entry is not None:
            entries.setdefault(entry.epoch, entry)
    return [entries[epoch] for epoch in sorted(entries)]


def _parse(line: str) -> EpochMetrics | None:
    """Return the epoch of a line, None for one that a crash cut off."""
    try:
        return EpochMetrics.model_validate(json.loads(line))
    except ValueError:
        return None
