"""`handssl bench resampling`: whether networks read the trace of resampling."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir

import click

from handssl.cli.commands.bench import bench, deliver, outputs, phases


@bench.command("resampling")
@click.option(
    "--seeds", default=3, show_default=True, type=click.IntRange(1, 100), help="Number of seeds."
)
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="For temporary data."
)
@outputs
def bench_resampling_command(
    seeds: int, folder: Path | None, markdown: Path | None, quiet: bool, as_json: bool
) -> None:
    """Measure the trace of resampling in views made once, by two warps, and blurred.

    About a quarter of an hour on one core for three seeds.

    \b
    Example:
      handssl bench resampling --markdown benchmarks/resampling_cue.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.resampling_cue import bench_resampling_cue, text

    with phases(quiet) as on_progress:
        rows = bench_resampling_cue(
            folder or Path(gettempdir()), seeds=range(1, seeds + 1), on_progress=on_progress
        )
    deliver([asdict(row) for row in rows], text(rows), markdown, as_json=as_json)
