"""Samples of the machine's load in a file of each trial; losing one in a crash is acceptable."""

from __future__ import annotations

import json
import time
from pathlib import Path

from handssl.ledger.record import EpochMetrics

FILE = "system.jsonl"


def now_ms() -> int:
    """Return the current time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def append_sample(folder: Path, number: int, metrics: dict[str, float]) -> None:
    """Add a sample to a trial's folder."""
    sample = EpochMetrics(epoch=number, metrics=metrics, time_ms=now_ms())
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(sample.model_dump_json() + "\n")


def read_samples(folder: Path) -> list[EpochMetrics]:
    """Return the samples of a trial in order; a line truncated by a crash is left out."""
    path = folder / FILE
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = {entry.epoch: entry for entry in map(_parse, lines) if entry is not None}
    return [found[number] for number in sorted(found)]


def _parse(line: str) -> EpochMetrics | None:
    try:
        return EpochMetrics.model_validate(json.loads(line))
    except ValueError:
        return None
