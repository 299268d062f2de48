"""`handssl bench effects`: winners and effects under early stopping, on recorded curves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir

import click

from handssl.cli.commands.bench import bench, deliver, outputs, phases


@bench.command("effects")
@click.option(
    "--curves",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded curves, see benchmarks/record_curves.py; default: synthetic ones.",
)
@click.option("--repeats", default=300, show_default=True, type=click.IntRange(1, 100_000))
@click.option(
    "--grace", "graces", multiple=True, type=int, help="First rung; may be repeated. Default: 1."
)
@outputs
def bench_effects_command(
    file: Path | None,
    repeats: int,
    graces: tuple[int, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Replay whole curves under the full grid, plain halving, and halving with a skeleton.

    Each repetition draws new columns of the fraction, a new coset and new cohorts.

    \b
    Example:
      handssl bench effects --curves benchmarks/curves/compositions.csv --grace 1 --grace 3 \\
        --markdown benchmarks/effects.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.effects import bench_effects, text
    from handssl.scheduling.simulation import read_curves, synthetic_curves
    from handssl.transforms import PAPER_SEVEN

    curves = read_curves(file) if file else synthetic_curves(PAPER_SEVEN, (1, 2, 3), 9)
    tables = {}
    with phases(quiet) as phase:
        for grace in graces or (1,):
            for blocks in (None, (min(curves.values),)):
                seeds = f"{len(blocks or curves.values)} seed{'' if blocks else 's'}"
                name = f"First rung after epoch {grace} of {curves.epochs}, {seeds}"
                tables[name] = bench_effects(
                    curves,
                    grace_epochs=grace,
                    blocks=blocks,
                    repeats=repeats,
                    on_progress=phase(name),
                )
    document = {name: [asdict(row) for row in rows] for name, rows in tables.items()}
    deliver(document, text(tables, _source(file, repeats)), markdown, as_json=as_json)


def _source(file: Path | None, repeats: int) -> str:
    of = f"`{file}`" if file else "synthetic curves, see `synthetic_curves`"
    return (
        f"Curves: {of}; {repeats} repetitions of each plan, a third continues from each rung. "
        "Cost in epochs. The regret is that of the cell with the lowest mean over seeds, adjusted "
        "for those in which it was stopped, on `select`, which chooses, and on `test`. "
        "Effects are compared with those of the full grid in the same seeds."
    )


@bench.command("intervals")
@click.option("--studies", default=300, show_default=True, type=click.IntRange(2, 100_000))
@outputs
def bench_intervals_command(
    studies: int, markdown: Path | None, quiet: bool, as_json: bool
) -> None:
    """Count how often intervals of effects on drawn full grids hold, and how often p errs.

    Each design draws its own studies: numbers of transformations and blocks, and worlds in which
    effects vary over seeds, noise has heavy tails or cells are missing.

    \b
    Example:
      handssl bench intervals --studies 1000 --markdown benchmarks/intervals.md
    """  # noqa: D301
    from handssl.bench.effect_intervals import bench_intervals, text

    with phases(quiet) as phase:
        rows = bench_intervals(studies=studies, on_progress=phase("intervals"))
    deliver([asdict(row) for row in rows], text(rows, studies), markdown, as_json=as_json)


@bench.command("designs")
@click.option(
    "--curves",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Recorded curves of the paper's seven, see benchmarks/record_curves.py.",
)
@click.option("--studies", default=300, show_default=True, type=click.IntRange(2, 100_000))
@click.option("--pilots", default=40, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--design", "wanted", multiple=True, help="Name of a design; may be repeated.")
@outputs
def bench_designs_command(
    file: Path,
    studies: int,
    pilots: int,
    wanted: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare what reports and plans say of studies of named designs with what is true.

    Studies are drawn from worlds with known effects, and assigned, stopped and estimated as real
    ones. Intervals, families of tests, winners, errors of effects, promised power.

    \b
    Example:
      handssl bench designs --curves benchmarks/curves/compositions.csv --studies 2000 \\
        --markdown benchmarks/designs.md
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.bench.designs import bench_designs, bench_slopes, chosen, text
    from handssl.scheduling.simulation import read_curves

    curves, designs = read_curves(file), chosen(wanted)
    with phases(quiet) as phase:
        rows = bench_designs(
            curves,
            studies=studies,
            pilots=pilots,
            designs=designs,
            on_progress=phase("named designs"),
        )
        slopes = bench_slopes(curves, studies=min(studies, 300), on_progress=phase("every world"))
    source = f"Recorded curves: `{file}`; the last table has {min(studies, 300)} studies a row."
    document = {"designs": [asdict(row) for row in rows], "worlds": [asdict(r) for r in slopes]}
    deliver(document, text(rows, slopes, source), markdown, as_json=as_json)


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
