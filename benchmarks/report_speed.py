"""Measure time and memory of a report on made-up ledgers; run from the root of the repository.

python benchmarks/report_speed.py 384 2048 8192 --markdown benchmarks/report_speed.md
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from handssl.bench.environment import describe
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
            "blocks": list(range(1, -(-trials // CELLS) + 1)),
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
    """Write the report of a storage; print the times in s, the peak memory and sizes as JSON."""
    with patch("handssl.execution.status.prepared", lambda *_, **__: storage / "blobs"):
        start_s = time.perf_counter()
        found = study_report("speed", storage, f"sqlite:///{storage / 'mlflow.db'}")
        read_s = time.perf_counter() - start_s
        path = write(found)
        total_s = time.perf_counter() - start_s
    values = {
        "trials": len(found.rows),
        "wall_s": total_s,
        "read_s": read_s,
        "cpu_s": time.process_time(),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "page_mb": path.stat().st_size / 1e6,
    }
    print(json.dumps(values))


def measured(trials: int) -> dict[str, float]:
    """Measure one size in a process of its own, so that its peak memory is its own."""
    with tempfile.TemporaryDirectory() as folder:
        storage = Path(folder)
        pack(BlobHands(), storage / "blobs", crop_px=56, context=1.75, workers=1)
        make(storage, trials)
        words = [sys.executable, __file__, "--measure", folder]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def table(found: list[dict[str, float]]) -> str:
    """Return the measurements as a Markdown page."""
    rows = [
        f"| {one['trials']:,} | {one['wall_s']:.1f} | {one['read_s']:.1f} | {one['cpu_s']:.1f} | "
        f"{one['peak_gb']:.2f} | {one['page_mb']:.1f} |"
        for one in found
    ]
    return f"""# Time and memory of a report

Written by `python benchmarks/report_speed.py {" ".join(str(one["trials"]) for one in found)} \
--markdown benchmarks/report_speed.md`: the page of a made-up study of 128 compositions in as many
seeds as needed, with {EPOCHS} epochs a trial and {METRICS} metrics an epoch, without predictions,
so without bootstrap. *Read* is the part before the page is drawn; CPU time includes all imports.

{describe()}

| trials | s | read, s | CPU, s | peak memory, GB | page, MB |
|--:|--:|--:|--:|--:|--:|
""" + "\n".join([*rows, ""])


def main() -> int:
    """Measure each size; print the table and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=int, nargs="*", default=[384, 2048, 8192])
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return 0
    text = table([measured(count) for count in arguments.trials])
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
