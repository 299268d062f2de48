"""Write the curves of a study's trials from its ledger into a CSV file.

handssl study run benchmarks/studies/compositions.yaml --storage runs
python benchmarks/record_curves.py runs benchmarks/curves/compositions.csv
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from handssl.ledger import Ledger

COLUMNS = ("block", "cell", "composition", "objective", "epoch", "median_mm", "test_median_mm")


def main(storage: str, target: str) -> int:
    """Write a row for every epoch of every trial that was trained."""
    ledger = Ledger.existing(Path(storage))
    records = sorted(ledger.all(), key=lambda r: (r.block, r.composition, r.objective))
    histories = ledger.histories([record.trial_id for record in records])
    with Path(target).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for record in records:
            named = (record.block, record.cell, record.composition, record.objective)
            for row in histories.get(record.trial_id, []):
                values = (row.metrics.get(name) for name in COLUMNS[5:])
                shown = ["" if value is None else f"{value:.4f}" for value in values]
                if row.epoch:
                    writer.writerow([*named, row.epoch, *shown])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
