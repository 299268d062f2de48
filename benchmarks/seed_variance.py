"""Variances over seeds that `study plan` assumes before there are results of its own.

    python benchmarks/seed_variance.py benchmarks/curves/compositions.csv

writes `handssl/planning/recorded_variance.json` from recorded curves of all compositions: the
standard deviations of `handssl.stats.seed_variance`, and how well early values predict the last.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from handssl.planning.recorded import FILE
from handssl.scheduling.simulation import Curves, read_curves
from handssl.stats.seed_variance import seed_variance


def recorded(curves: Curves, source: str) -> dict[str, object]:
    """Return the table: provenance, standard deviations, and correlations by share of epochs."""
    found = seed_variance([curves.final(block) for block in sorted(curves.values)])
    sizes = f"{2 ** len(curves.names)} compositions, {len(curves.values)} seeds"
    return {
        "provenance": f"python benchmarks/seed_variance.py {source}: {sizes}, "
        f"{curves.epochs} epochs on procedural hands",
        **{key: round(value, 4) for key, value in asdict(found).items()},
        "early": [
            [round(epoch / curves.epochs, 4), round(correlation(curves, epoch), 4)]
            for epoch in range(1, curves.epochs)
        ],
    }


def correlation(curves: Curves, epoch: int) -> float:
    """Return the correlation within blocks of the values after an epoch with the last ones."""
    pairs = []
    for block in curves.values.values():
        early, last = (np.array([c[i - 1] for c in block.values()]) for i in (epoch, curves.epochs))
        pairs.append(np.stack([early - early.mean(), last - last.mean()]))
    joined = np.concatenate(pairs, axis=1)
    return float(np.corrcoef(joined)[0, 1])


if __name__ == "__main__":
    [name] = sys.argv[1:] or ["benchmarks/curves/compositions.csv"]
    FILE.write_text(json.dumps(recorded(read_curves(Path(name)), name), indent=1) + "\n")
