"""`handssl bench sweep`: overhead of running a trial."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir

import click

from handssl.cli.bench import bench, deliver, outputs, phases


@bench.command("sweep")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where files are written: on the disk to be measured. Default: the temporary folder.",
)
@outputs
def bench_sweep_command(
    folder: Path | None, markdown: Path | None, quiet: bool, as_json: bool
) -> None:
    """Measure 128 trials without work, here and with Ray Tune's own tools, then 128 x 3 seeds.

    \b
    Example:
      handssl bench sweep --markdown benchmarks/sweep.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.sweep import bench_sweep, text

    with phases(quiet) as phase:
        costs = bench_sweep(folder or Path(gettempdir()), on_progress=phase("sweeps"))
    deliver({cost.name: asdict(cost) for cost in costs}, text(costs), markdown, as_json=as_json)
