"""`handssl study simulate`: simulation of a study's halving without training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handssl.cli.options import parse_changes

if TYPE_CHECKING:
    from handssl.planning.rehearsal import Rehearsal


@click.command("simulate")
@click.argument("source", metavar="STUDY")
@click.option(
    "--curves",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded curves, see benchmarks/record_curves.py; default: synthetic ones.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Trials at the same time.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of synthetic curves.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one value, e.g. --set halving.grace_epochs=4; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def simulate_study(
    source: str,
    file: Path | None,
    workers: int,
    seed: int,
    changes: tuple[str, ...],
    as_json: bool,
) -> int:
    """Simulate STUDY's halving on recorded or synthetic curves, with the code of real studies.

    Prints how many trials reach each rung, which share of the full cost that is, how long it takes
    with this number of workers, and how much worse the cell it picks is than the best. Thousands
    of trials take seconds; nothing is trained and nothing is written.

    \b
    Examples:
      handssl study simulate compositions --workers 8
      handssl study simulate compositions --set halving.grace_epochs=4 --set halving.order=arrival
      handssl study simulate benchmarks/studies/compositions.yaml \\
        --set 'halving={grace_epochs: 1}' --curves benchmarks/curves/compositions.csv
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.commands.study import load_study
    from handssl.planning.rehearsal import rehearse
    from handssl.scheduling.simulation import read_curves

    study = load_study(source).merged(parse_changes(changes))
    curves = read_curves(file) if file else None
    found = rehearse(study, curves=curves, workers=workers, seed=seed)
    if as_json:
        click.echo(json.dumps([_document(one) for one in found], indent=2))
    else:
        made_up = "" if file else f" on synthetic curves (seed {seed})"
        _show(found, f"{study.name}: {workers} trials at once{made_up}")
    return 0


def _show(found: list[Rehearsal], title: str) -> None:
    from rich.table import Table

    from handssl.cli.views.terminal import Terminal

    table = Table(title=title, title_justify="left", title_style="bold")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name != "stage" else "left", no_wrap=True)
    for one in found:
        regret = "" if math.isnan(one.regret_mm) else f"{one.regret_mm:.2f} mm"
        table.add_row(
            one.stage,
            f"{one.trials} ({one.exempt})",
            f"{one.simulated.epochs} ({one.share:.0%})",
            f"{one.simulated.makespan} ({one.simulated.makespan / one.full_makespan:.0%})",
            regret,
        )
    Terminal().print(table)
    for one in found:
        rungs = ", ".join(f"{n} at epoch {epoch}" for epoch, n in one.simulated.reached.items())
        click.echo(f"{one.stage}: trials that reach each rung: {rungs or 'no rungs'}")
        if one.assumed:
            click.echo(f"{one.stage}: earlier stages are assumed to choose {one.assumed}")
    click.echo("In brackets: trials that are never stopped; shares of running all trials in full.")
    click.echo("Regret: how much worse the cell it picks is than the best, by mean over seeds.")


_COLUMNS = ("stage", "trials", "epochs of training", "makespan in epochs", "regret")


def _document(one: Rehearsal) -> dict[str, Any]:
    return {
        "stage": one.stage,
        "trials": one.trials,
        "exempt": one.exempt,
        "reached": one.simulated.reached,
        "epochs": one.simulated.epochs,
        "share": one.share,
        "makespan_epochs": one.simulated.makespan,
        "full_makespan_epochs": one.full_makespan,
        "regret_mm": None if math.isnan(one.regret_mm) else one.regret_mm,
        "assumed": one.assumed or None,
    }
