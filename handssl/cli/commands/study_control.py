"""`handssl study status | pause | resume | cancel | extend`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handssl.cli.execution_options import execution_options
from handssl.cli.options import parse_changes, running, storage_option, study_command
from handssl.errors import InputError

if TYPE_CHECKING:
    from handssl.planning.execution_options import ExecutionOptions
    from handssl.study.study import Study

Command = TypeVar("Command", bound=Callable[..., Any])


def _of_study(command: Command) -> Command:
    """Add the argument and options that name a study and its results."""
    for option in (
        click.option(
            "--set",
            "changes",
            multiple=True,
            metavar="KEY=VALUE",
            help="The same as for `study run`; may be repeated.",
        ),
        storage_option,
        click.argument("source", metavar="STUDY"),
    ):
        command = option(command)
    return command


def _load(source: str, changes: tuple[str, ...], storage: Path | None) -> Study:
    from handssl.cli.commands.study import load_run_study

    return load_run_study(source, storage).merged(parse_changes(changes))


@click.command("status")
@_of_study
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Update it every few seconds until Ctrl-C.")
def study_status(
    source: str, storage: Path | None, changes: tuple[str, ...], as_json: bool, watch: bool
) -> int:
    """Show the status of STUDY, running or not.

    \b
    Examples:
      handssl study status mine.yaml --storage runs/mine
      handssl study status demo --watch
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.status import show, watch_status
    from handssl.execution.control import status
    from handssl.execution.storage import resolve_storage

    study, folder = _load(source, changes, storage), resolve_storage(storage)
    resuming = study_command("resume", source, changes, folder)
    if watch and not as_json:
        watch_status(lambda: status(study, folder), resuming)
    else:
        show(status(study, folder), resuming, as_json=as_json)
    return 0


@click.command("pause")
@_of_study
def pause_study(source: str, storage: Path | None, changes: tuple[str, ...]) -> int:
    """Stop STUDY within seconds until it is resumed; trials keep their last completed epoch.

    The process that runs it ends with exit code 75. Only unfinished epochs are lost.

    \b
    Example:
      handssl study pause mine.yaml --storage runs/mine
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.execution.control import pause
    from handssl.execution.storage import resolve_storage

    study = _load(source, changes, storage)
    runs = pause(study, storage)
    stops = "its driver stops within seconds" if runs else "it is not running now"
    go_on = study_command("resume", source, changes, resolve_storage(storage))
    click.echo(f"{study.name} is paused; {stops}. Resume it with: {go_on}")
    return 0


@click.command("resume")
@click.argument("source", metavar="STUDY")
@running
@execution_options
def resume_study(
    source: str,
    storage: Path | None,
    tracking_uri: str | None,
    changes: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
    how: ExecutionOptions,
) -> int:
    """End the pause of STUDY, and run the rest of it here.

    \b
    Example:
      handssl study resume mine.yaml --storage runs/mine
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.study_run import execute
    from handssl.execution.control import resume

    study = _load(source, changes, storage)
    resume(study, storage)
    return execute(
        study,
        storage,
        tracking_uri,
        quiet=quiet,
        as_json=as_json,
        markdown=markdown,
        source=source,
        changes=changes,
        how=how,
    )


@click.command("cancel")
@_of_study
@click.argument("cell", metavar="CELL")
@click.option("--block", type=int, help="Only the trial with this seed; default: all.")
def cancel_cell(
    source: str, storage: Path | None, changes: tuple[str, ...], cell: str, block: int | None
) -> int:
    """Leave CELL out of STUDY: running trials stop after their epoch, others are not started.

    Cells compared with it continue without it. Trials that have ended are not changed.

    \b
    Example:
      handssl study cancel mine.yaml "contrastive blur" --block 2
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.execution.control import cancel

    left_out = cancel(_load(source, changes, storage), cell, block=block, storage=storage)
    count = len(left_out)
    click.echo(f"{cell}: {count} trial{'s' if count > 1 else ''} left out")
    return 0


@click.command("extend")
@_of_study
@click.option("--seeds", metavar="N,N,...", help="Seeds to add, each a block of all cells.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of a trial, more than now.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; for scripts.")
def extend_study(
    source: str,
    storage: Path | None,
    changes: tuple[str, ...],
    seeds: str | None,
    epochs: int | None,
    yes: bool,
) -> int:
    """Add seeds or epochs to STUDY for its next run; prints the cost first.

    With the schedule `wsd` further epochs continue from checkpoints; with `cosine` they are new
    trials.

    \b
    Examples:
      handssl study extend mine.yaml --seeds 4,5
      handssl study extend mine.yaml --epochs 200
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.status import describe_cost
    from handssl.execution.control import extend, extension_of, status
    from handssl.execution.storage import resolve_storage

    folder, blocks = resolve_storage(storage), _numbers(seeds)
    now = status(_load(source, changes, storage), folder)
    larger, meaning = extension_of(now.study, blocks=blocks, epochs=epochs)
    click.echo(f"{meaning}\n{describe_cost(now, larger)}", err=True)
    if not yes and not click.confirm("Add them?", err=True):
        return 1
    extend(now.study, blocks=blocks, epochs=epochs, storage=folder)
    click.echo(f"added; run them with: {study_command('run', source, changes, folder)}")
    return 0


def _numbers(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"--seeds: expected numbers such as 4,5, got {text!r}") from None


VERBS = (study_status, pause_study, resume_study, cancel_cell, extend_study)
