"""Measurement of a study's noise floor in the terminal: run the repeats, print their spread."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from handssl.cli.views.live import LiveProgress
from handssl.cli.views.study_run import continuing_command, interruption, tell_failures
from handssl.cli.views.terminal import Terminal
from handssl.execution.api import run
from handssl.execution.storage import resolve_storage
from handssl.ledger import Ledger
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.noise import NoiseFloor, noise_floors
from handssl.planning.resources import available_cpus, smallest_gpu
from handssl.stats.spread import Spread, undecided_below
from handssl.study.noise import noise_study
from handssl.study.study import Study


def measure_noise(
    study: Study,
    storage: Path | None,
    tracking_uri: str | None,
    *,
    labels: tuple[str, ...],
    repeats: int,
    quiet: bool,
    as_json: bool,
    how: ExecutionOptions,
) -> int:
    """Run the missing repeats of a study's cells, and print the noise floor of each objective.

    Args:
        study: The study.
        storage: Folder of the results, or None for the default.
        tracking_uri: MLflow store, or None for the default.
        labels: Labels of the cells; empty: one of each objective.
        repeats: Number of repeats of each cell.
        quiet: No live progress.
        as_json: Print one JSON document instead of the table.
        how: Execution options of the trials.

    Returns:
        Exit code: 0, or 1 if a trial failed.

    Raises:
        HandsslError: It was interrupted; the message says how to continue.
    """
    errors, folder, how = Terminal(stderr=True), resolve_storage(storage), _with_room(how)
    repeated = noise_study(study, labels, repeats)
    with LiveProgress(errors, quiet=quiet) as progress:
        result = run(
            repeated, storage=folder, tracking_uri=tracking_uri, options=how, on_event=progress
        )
    if result.interrupted:
        raise interruption(result, continuing_command(sys.argv, folder))
    floors = noise_floors(Ledger(folder).all(), study.name)
    if as_json:
        click.echo(json.dumps({"study": study.name, "noise": [asdict(one) for one in floors]}))
    else:
        print_floors(floors)
    tell_failures(result, errors)
    return 1 if result.failed else 0


def _with_room(how: ExecutionOptions) -> ExecutionOptions:
    """Return options with half as many trials at once as cores: half of the repeats use two."""
    if how.address is not None or how.max_concurrent_trials or smallest_gpu():
        return how
    return how.model_copy(update={"max_concurrent_trials": max(1, available_cpus() // 2)})


def print_floors(floors: tuple[NoiseFloor, ...]) -> None:
    """Print the spread of repeats beside that over seeds, by metric and objective."""
    table = Table("metric", "objective", box=None, header_style="bold", pad_edge=False)
    for name in ("cells", "repeats", "sd, mm", "95 %", "sd over seeds, mm", "undecided below, mm"):
        table.add_column(name, justify="right")
    for one in floors:
        own = one.repeats
        table.add_row(
            one.metric,
            one.objective,
            str(one.cells),
            str(own.n),
            f"{own.sd:.3g}",
            f"{own.low:.2g} to {own.high:.2g}",
            _over_seeds(one.seeds),
            f"{undecided_below(own.sd, own.sd):.2g}",
        )
    Terminal().print(table)
    click.echo("undecided: differences of two such trials with one seed; n seeds divide by sqrt(n)")


def _over_seeds(spread: Spread | None) -> str:
    return f"{spread.sd:.3g} ({spread.n} trials)" if spread else "not known"
