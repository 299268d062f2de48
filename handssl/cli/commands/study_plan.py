"""`handssl study plan`: trials of a study, their cost, and the effects it can detect."""

from __future__ import annotations

import json
from pathlib import Path

import click

from handssl.cli.options import init_option, storage_option, study_command


@click.command("plan")
@click.argument("source", metavar="STUDY")
@storage_option
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one value, e.g. --set pretrain.epochs=4; may be repeated.",
)
@init_option
@click.option("--cells", is_flag=True, help="List the cells of every stage.")
@click.option("--no-measure", is_flag=True, help="Measure no steps; estimate no time.")
@click.option(
    "--measure-s",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds to spend on measuring steps.",
)
@click.option(
    "--sd-mm",
    type=click.FloatRange(min=0, min_open=True),
    help="Standard deviation of paired differences; default: measured, else of recorded curves.",
)
@click.option(
    "--effect-mm",
    type=click.FloatRange(min=0, min_open=True),
    help="Recommend the cheapest design that detects a main effect of this size.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def plan_study(
    source: str,
    storage: Path | None,
    changes: tuple[str, ...],
    cells: bool,
    no_measure: bool,
    measure_s: float,
    sd_mm: float | None,
    effect_mm: float | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Print the trials of STUDY, their time and disk space, and the effects it can detect.

    Nothing is written. Exit code 0; 1 if data are missing that must be packed first, or the disk
    is too small.

    \b
    Examples:
      handssl study plan smoke
      handssl study plan compositions --no-measure --cells
      handssl study plan mine.yaml --sd-mm 0.8 --json
      handssl study plan compositions --no-measure --effect-mm 1.0
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.commands.study import load_study
    from handssl.cli.options import parse_changes
    from handssl.cli.views.plan import print_plan
    from handssl.cli.views.terminal import progress_bar
    from handssl.execution.initial_weights import with_initial_weights
    from handssl.execution.storage import resolve_storage
    from handssl.planning.document import document
    from handssl.planning.study_plan import StudyPlan

    folder = resolve_storage(storage)
    written = load_study(source, storage).merged(parse_changes(changes))
    planned = with_initial_weights(written, folder, keep=False)
    plan = StudyPlan(planned, folder, sd_mm=sd_mm)
    if not no_measure:
        with progress_bar("measuring cells", quiet=quiet) as on_progress:
            plan.measure(budget_s=measure_s, on_progress=on_progress)
    if effect_mm is not None:
        with progress_bar("simulating designs", quiet=quiet) as on_progress:
            plan.recommend(effect_mm, on_progress=on_progress)
    if as_json:
        click.echo(json.dumps(document(plan), indent=2))
    else:
        bounded = study_command("run", source, changes, plan.storage, "--checkpoint-bytes", "20GB")
        print_plan(plan, bounded, cells=cells, measured=not no_measure)
    return 0 if plan.can_run else 1
