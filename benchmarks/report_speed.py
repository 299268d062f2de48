"""Measure time and memory of a report on made-up ledgers; run from the root of the repository.

python benchmarks/report_speed.py 384 2048 8192
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from handssl.data.packing import pack
from handssl.data.splits import StudyData
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.planning.preregistration import keep
from handssl.randomness import numpy_generator
from handssl.report.formats.writing import write
from handssl.report.of_study import study_report
from handssl.stats.skeleton import subsets
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial, plan_stage
from tests.conftest import BlobHands

CELLS, EPOCHS, METRICS = 128, 9, 60
SEVEN = ("blur", "color_jitter", "cutout", "noise", "rotate", "sobel", "translate")


def make(storage: Path, trials: int) -> None:
    """Write the ledger of a study of all compositions of seven transformations."""
    study = Study.parse(
        {
            "name": "speed",
            "stages": [],
            "cells": [{"composition": sorted(one)} for one in subsets(SEVEN)],
            "references": False,
            "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
            "blocks": list(range(1, max(trials // CELLS, 1) + 1)),
            "halving": None,
        }
    )
    ledger = Ledger(storage)
    keep(study, storage, ledger, lambda event: None)
    data = StudyData(storage / "blobs").fingerprint
    stage = study.all_stages[0]
    for trial in plan_stage(study, stage, {}, lambda _: data):
        _record(ledger, trial, stage.name)


def _record(ledger: Ledger, trial: PlannedTrial, stage: str) -> None:
    noise = numpy_generator("report speed", trial.cell, trial.block).normal(size=METRICS)
    last = 80.0 - 2.0 * trial.composition.count("+") + noise[0]
    record = TrialRecord(
        trial_id=trial.trial_id,
        study="speed",
        stage=stage,
        cell=trial.cell,
        composition=trial.composition,
        objective=trial.objective,
        block=trial.block,
        outcome="completed",
        epochs=trial.epochs,
        epoch=trial.epochs,
        metrics={"median_mm": last, **{f"diag/x{n}/y": v for n, v in enumerate(noise)}},
        config=trial.config.model_dump(mode="json"),
    )
    for epoch in range(1, trial.epochs + 1):
        metrics = {**record.metrics, "median_mm": last + EPOCHS - epoch}
        ledger.append_epoch(record.trial_id, epoch, metrics)
    ledger.save(record)


def measure(storage: Path) -> None:
    """Write the report of a storage; print the seconds and the peak memory in GB."""
    with patch("handssl.execution.status.prepared", lambda *_, **__: storage / "blobs"):
        start_s = time.perf_counter()
        found = study_report("speed", storage, f"sqlite:///{storage / 'mlflow.db'}")
        read_s = time.perf_counter() - start_s
        path = write(found)
        total_s = time.perf_counter() - start_s
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    size_mb = path.stat().st_size / 1e6
    print(
        f"{len(found.rows)} trials: {total_s:.1f} s ({read_s:.1f} s to read), "
        f"{time.process_time():.1f} s of CPU, {peak_gb:.2f} GB, page {size_mb:.1f} MB"
    )


def main(sizes: list[str]) -> int:
    """Measure each size in a process of its own, so that its peak memory is its own."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            storage = Path(folder)
            pack(BlobHands(), storage / "blobs", crop_px=56, context=1.75, workers=1)
            make(storage, int(size))
            subprocess.run([sys.executable, __file__, "--measure", folder], check=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        measure(Path(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
