"""Table of a setting: each cell of a study against the same cell with another value of it.

handssl study run benchmarks/studies/targets.yaml --storage runs
python benchmarks/setting.py runs targets relative.targets=between_views benchmarks/targets.md
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from validity import shown

from handssl.bench.environment import describe
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.stats.decision import Pair, decide

METRICS = {"root-relative": "test_median_mm", "Procrustes-aligned": "test_aligned_median_mm"}


def errors(records: Sequence[TrialRecord], cell: str, metric: str) -> dict[int, float]:
    """Return the errors of a cell by block."""
    return {one.block: one.metrics[metric] for one in records if one.cell == cell}


def table(records: Sequence[TrialRecord], setting: str) -> list[str]:
    """Return a row for each cell and alignment; Holm's p is for the rows of an alignment."""
    suffix = f" {setting}"
    changed = [one.cell for one in records if one.cell.endswith(suffix)]
    cells = [name.removesuffix(suffix) for name in dict.fromkeys(changed)]
    lines = [
        f"| cell | error | default | {setting} | {setting} - default |",
        "| --- | --- | --- | --- | --- |",
    ]
    for title, metric in METRICS.items():
        pairs = {
            cell: Pair(
                setting,
                "default",
                errors(records, cell + suffix, metric),
                errors(records, cell, metric),
            )
            for cell in cells
        }
        decided = decide(pairs)
        for cell, pair in pairs.items():
            means = [shown(list(values.values())) for values in (pair.others, pair.errors)]
            lines.append(f"| {cell} | {title} | {' | '.join(means)} | {decided[cell]} |")
    return lines


def main(storage: str, study: str, setting: str, target: str) -> int:
    """Write the table of a finished study."""
    ledger = Ledger.existing(Path(storage))
    records = [one for one in ledger.all(study) if one.outcome == "completed"]
    if not any(one.cell.endswith(setting) for one in records):
        sys.exit(f"{storage}: expected completed cells of {study} with {setting}, found none")
    blocks = ", ".join(map(str, sorted({r.block for r in records if r.cell.endswith(setting)})))
    parts = [
        f"# {setting} against the default",
        f"Made by `handssl study run benchmarks/studies/{study}.yaml --storage runs` and "
        f"`python benchmarks/setting.py runs {study} {setting} {target}`. {describe()}; blocks "
        f"{blocks}; medians on `test` in mm, means over blocks with 95 % t intervals over seeds; "
        "differences are paired by block, Holm's p is for the rows of one alignment.",
        "\n".join(table(records, setting)),
    ]
    Path(target).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
