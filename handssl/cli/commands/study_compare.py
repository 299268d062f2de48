"""`handssl study compare`: the best cells of a study, in the terminal and on MLflow's page."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handssl.cli.options import storage_option

if TYPE_CHECKING:
    from handssl.tracking.comparison import ComparedCell, Comparison

# Characters of the label of a cell at least, and of all other columns of the table.
_LEAST_LABEL, _OTHER_COLUMNS = 24, 56


@click.command("compare")
@click.argument("source", metavar="STUDY")
@storage_option
@click.option("--tracking-uri", metavar="URI", help="MLflow store; default: SQLite in the storage.")
@click.option("--stage", metavar="NAME", help="Only cells of this stage; default: all stages.")
@click.option(
    "--best", type=click.IntRange(min=1), default=20, show_default=True, help="Number of cells."
)
@click.option(
    "--open", "opened", is_flag=True, help="Open the page; starts a server if there is none."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compare_study(
    source: str,
    storage: Path | None,
    tracking_uri: str | None,
    stage: str | None,
    best: int,
    opened: bool,
    as_json: bool,
) -> int:
    """Compare the best cells of STUDY, means over its seeds, with the references.

    Prints a table and the address of MLflow's page with these runs, in this order.

    \b
    Examples:
      handssl study compare compositions --storage runs
      handssl study compare compositions --best 5 --open
      handssl study compare mine.yaml --tracking-uri http://mlflow:5000 --json
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.commands.study import load_run_study
    from handssl.cli.views.mlflow import PORT, page
    from handssl.errors import InputError
    from handssl.execution.storage import default_tracking_uri, resolve_storage
    from handssl.runtime.sqlite_url import sqlite_path
    from handssl.tracking.comparison import compare
    from handssl.tracking.conventions import ui_command
    from handssl.tracking.outbox import UnavailableError

    name = load_run_study(source, storage).name
    uri = tracking_uri or default_tracking_uri(resolve_storage(storage))
    file = sqlite_path(uri)
    if file is not None and not file.is_file():
        raise InputError(f"{uri}: expected MLflow's store of a study, there is none; run one first")
    try:
        found = compare(uri, name, stage=stage, best=best)
    except UnavailableError as error:
        raise InputError(f"{uri}: expected MLflow, which cannot be reached: {error}") from None
    server = uri if uri.startswith("http") else f"http://127.0.0.1:{PORT}"
    if as_json:
        click.echo(json.dumps(_document(name, found, found.url(server)), indent=2))
        return 0
    print_cells(found.cells)
    if found.without_result:
        lacking = ", ".join(found.without_result)
        click.echo(f"Not compared, as no seed was completed: {lacking}; see `handssl report`")
    if opened:
        page(uri, found.url)
    else:
        click.echo(f"\nPage: {found.url(server)}")
        if not uri.startswith("http"):
            click.echo(f"while this runs: {ui_command(uri)} --port {PORT}   (or use --open)")
    return 0


def print_cells(cells: tuple[ComparedCell, ...]) -> None:
    """Print the table of cells in their order, references without a rank."""
    from handssl.cli.views.terminal import Terminal, folded, folded_label, plain_table
    from handssl.pose.protocol_ids import protocol_words

    table, console = plain_table(), Terminal()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("cell", overflow="fold")
    room = max(_LEAST_LABEL, console.width - _OTHER_COLUMNS)
    for heading in ("median", "sd", "PA", "test\nmedian", "test\nPA", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    rank = 0
    for cell in cells:
        rank += cell.objective not in ("reference", "supervised")
        shown = str(rank) if cell.objective not in ("reference", "supervised") else ""
        names = (
            *("median_mm", "median_mm_sd", "aligned_median_mm"),
            *("test_median_mm", "test_aligned_median_mm"),
        )
        numbers = [_mm(cell.metrics.get(name)) for name in names]
        seeds = f"{cell.metrics.get('blocks_completed', 0):.0f}"
        table.add_row(shown, folded_label(cell.label, room), *numbers, seeds, cell.stage)
    console.print(table, highlight=False)
    words = "Errors in mm, means over seeds; median: root-relative, PA: median after Procrustes "
    console.print(folded(f"{words}alignment.", console.width), highlight=False)
    protocols = {name for cell in cells for name in cell.tags.get("protocol", "").split(", ")}
    console.print(f"Protocol {protocol_words(sorted(protocols - {''}))}.", highlight=False)


def _mm(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.1f}"


def _document(study: str, found: Comparison, url: str) -> dict[str, object]:
    cells = [
        {
            "cell": c.label,
            "stage": c.stage,
            "objective": c.objective,
            "run_id": c.run_id,
            "protocol": c.tags.get("protocol", ""),
            **c.metrics,
        }
        for c in found.cells
    ]
    lacking = {"without_result": list(found.without_result)}
    return {"study": study, "url": url, "experiment": found.experiment, "cells": cells, **lacking}
