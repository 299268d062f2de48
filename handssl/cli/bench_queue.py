"""`handssl bench queue`: costs of a long queue of jobs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from handssl.cli.bench import bench, deliver, outputs, phases


@bench.command("queue")
@click.option("--jobs", type=click.IntRange(min=100), default=10_000, show_default=True)
@click.option(
    "--database",
    metavar="URL",
    help="Also measure this PostgreSQL database; it must not hold a queue.",
)
@outputs
def bench_queue_command(
    jobs: int, database: str | None, markdown: Path | None, quiet: bool, as_json: bool
) -> None:
    """Measure submitting, listing and starting with a long queue, in SQLite and PostgreSQL.

    \b
    Example:
      handssl bench queue --markdown benchmarks/queue.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.queue import bench_queue, text

    with phases(quiet) as phase:
        costs = [bench_queue(jobs, on_progress=phase("SQLite"))]
        if database:
            costs.append(bench_queue(jobs, database=database, on_progress=phase("PostgreSQL")))
    deliver({cost.database: asdict(cost) for cost in costs}, text(costs), markdown, as_json=as_json)
