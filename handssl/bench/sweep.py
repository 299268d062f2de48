"""Benchmark of the overhead of a trial, against Ray Tune with its own MLflow callback."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from handssl.bench.environment import describe
from handssl.bench.rates import OnProgress
from handssl.errors import HandsslError

WAYS = (("ours", 1), ("tune", 1), ("ours", 3))
_NAMES = {
    ("ours", 1): "handssl, {} trials",
    ("tune", 1): "Ray Tune, {} trials, reused actors, MLflowLoggerCallback",
    ("ours", 3): "handssl, {} trials x 3 seeds, halving",
}
LIMIT_S, LIMIT_BYTES = 0.5, 1_500_000_000


@dataclass(frozen=True)
class Cost:
    """Cost of one sweep.

    Attributes:
        name: Name of the sweep.
        trials: Number of finished trials.
        seconds: Total time, including the start of actors but not of Ray itself.
        peak_bytes: Peak memory of the driver in bytes.
    """

    name: str
    trials: int
    seconds: float
    peak_bytes: int

    @property
    def per_trial_s(self) -> float:
        """Seconds per trial."""
        return self.seconds / self.trials


def bench_sweep(
    folder: Path, *, factors: int = 7, on_progress: OnProgress | None = None
) -> list[Cost]:
    """Run 128 empty trials with handssl and Ray Tune, with MLflow in SQLite, then 128 x 3.

    Args:
        folder: Folder for all files, so that all sweeps use the same disk.
        factors: Number of transformations n; a sweep has 2^n trials per seed.
        on_progress: Called with (sweeps done, total sweeps).

    Returns:
        The cost of each sweep.

    Raises:
        HandsslError: A sweep failed.
    """
    found = []
    for done, (side, blocks) in enumerate(WAYS, start=1):
        with tempfile.TemporaryDirectory(prefix="bench-sweep-", dir=folder) as scratch:
            found.append(_measure(side, blocks, scratch, factors))
        if on_progress:
            on_progress(done, len(WAYS))
    return found


def _measure(side: str, blocks: int, folder: str, factors: int) -> Cost:
    arguments = [side, folder, str(blocks), str(factors)]
    command = [sys.executable, "-m", "handssl.bench.sweep_sides", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise HandsslError(f"{side}: {done.stderr.strip()[-2000:]}")
    name = _NAMES[side, blocks].format(2**factors)
    return Cost(name=name, **json.loads(done.stdout.splitlines()[-1]))


def text(costs: list[Cost]) -> str:
    """Return the results as a Markdown page."""
    ours, tune, _ = costs
    rows = [
        f"| {cost.name} | {cost.trials} | {cost.seconds:.1f} | {cost.per_trial_s:.3f} | "
        f"{cost.peak_bytes / 1e9:.2f} |"
        for cost in costs
    ]
    return "\n".join(
        [
            "# What a trial costs beside its work",
            "",
            f"`handssl bench sweep`: {describe()}.",
            "",
            "Trials of three epochs with 26 metrics each and no computation, reused actors, MLflow "
            "in SQLite; the actors' start is in the seconds, Ray's own is not. Memory is the "
            "driver's peak.",
            "",
            "| way | trials | seconds | seconds a trial | GB |",
            "|---|---:|---:|---:|---:|",
            *rows,
            "",
            f"A trial costs {ours.per_trial_s / tune.per_trial_s:.2f} of what Ray Tune needs with "
            f"its own MLflow callback. Required: at most {LIMIT_S:g} s, at most Ray Tune's, and "
            f"less than {LIMIT_BYTES / 1e9:g} GB.",
            "",
        ]
    )
