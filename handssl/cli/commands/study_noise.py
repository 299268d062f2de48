"""`handssl study noise`: what rounding alone does to the results of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handssl.cli.execution_options import execution_options
from handssl.cli.options import init_option, parse_changes, storage_option

if TYPE_CHECKING:
    from handssl.planning.execution_options import ExecutionOptions


@click.command("noise")
@click.argument("source", metavar="STUDY")
@storage_option
@click.option("--tracking-uri", help="MLflow store; default: SQLite in the storage.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one value.")
@init_option
@click.option(
    "--cells",
    "labels",
    multiple=True,
    metavar="LABEL",
    help="A cell to repeat, as `study plan --cells` lists it; may be repeated. Default: one of "
    "each objective.",
)
@click.option(
    "--repeats", type=click.IntRange(2, 9999), default=8, show_default=True, help="Of each cell."
)
@execution_options
@click.option("--quiet", "-q", is_flag=True, help="No live progress; results only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
def study_noise(
    source: str,
    storage: Path | None,
    tracking_uri: str | None,
    changes: tuple[str, ...],
    labels: tuple[str, ...],
    repeats: int,
    quiet: bool,
    as_json: bool,
    how: ExecutionOptions,
) -> int:
    """Repeat cells of STUDY with other rounding alone, and print the spread of their errors.

    Each repeat has the same seed and data, but 1 or 2 threads, views in another order and initial
    weights that differ by 1e-7. The repeats are trials of a study of their own, STUDY-noise; the
    plan and the report of STUDY use their spread. The same command continues, --repeats adds.

    \b
    Examples:
      handssl study noise demo --repeats 4
      handssl study noise mine.yaml --cells "relative rotate" --cells "contrastive rotate"
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.commands.study import load_run_study
    from handssl.cli.views.noise import measure_noise

    return measure_noise(
        load_run_study(source, storage).merged(parse_changes(changes)),
        storage,
        tracking_uri,
        labels=labels,
        repeats=repeats,
        quiet=quiet,
        as_json=as_json,
        how=how,
    )
