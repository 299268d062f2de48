"""Run a study in the terminal: live progress, then the results and the next commands."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handssl.cli.options import study_command
from handssl.cli.views.live import LiveProgress
from handssl.cli.views.summary import Summary, summarise, write_markdown
from handssl.cli.views.terminal import Terminal
from handssl.errors import (
    BusyStudyError,
    HandsslError,
    InterruptedStudyError,
    PausedStudyError,
    TakenOverError,
)
from handssl.execution.api import run as run_study
from handssl.execution.storage import resolve_storage
from handssl.runtime.shell_commands import command

if TYPE_CHECKING:
    from handssl.execution.result import StudyResult
    from handssl.planning.execution_options import ExecutionOptions
    from handssl.study.study import Study


def execute(
    study: Study,
    storage: Path | None,
    tracking_uri: str | None,
    *,
    quiet: bool,
    as_json: bool,
    markdown: Path | None,
    source: str,
    changes: tuple[str, ...] = (),
    how: ExecutionOptions | None = None,
) -> int:
    """Run a study and print its results.

    Args:
        study: The study to run.
        storage: Folder of the results, or None for the default.
        tracking_uri: MLflow store, or None for the default.
        quiet: No live progress.
        as_json: Print one JSON document instead of the table.
        markdown: A file to which the results are also written.
        source: The STUDY argument as typed, for commands that are printed.
        changes: The values of `--set` as typed, for the same commands.
        how: Execution options of the trials.

    Returns:
        Exit code: 0, or 1 if a trial failed.

    Raises:
        InterruptedStudyError: It was interrupted; the message says how to continue.
        PausedStudyError: It was stopped by SIGTERM, a pause or its time limit; the message says how
            to continue.
        TakenOverError: Another driver has taken the study over and continues it.
    """
    errors, folder = Terminal(stderr=True), resolve_storage(storage)
    resume = _resuming(sys.argv, source, changes, folder)
    listing = study_command("status", source, changes, folder)
    with (
        _as_typed(study.name, folder, resume=resume, status=listing),
        LiveProgress(errors, quiet=quiet) as progress,
    ):
        result = run_study(
            study, storage=storage, tracking_uri=tracking_uri, options=how, on_event=progress
        )
    if result.interrupted:
        raise interruption(result, resume)
    summary = summarise(result)
    if markdown is not None:
        write_markdown(summary, markdown)
    if as_json:
        click.echo(json.dumps(summary.document, indent=2))
    else:
        print_summary(summary)
    tell_failures(result, errors)
    return 1 if result.failed else 0


@contextmanager
def _as_typed(name: str, storage: Path, **commands: str) -> Iterator[None]:
    """Replace commands in errors by those with the study as typed instead of its name.

    Args:
        name: Name of the study.
        storage: Folder of the results.
        commands: Replacement by subcommand of `handssl study`.
    """
    try:
        yield
    except (BusyStudyError, PausedStudyError) as error:
        text = str(error)
        for verb, typed in commands.items():
            text = text.replace(command("study", verb, name, storage=storage), typed)
        raise type(error)(text) from None


_KINDS: dict[str, type[HandsslError]] = {
    "SIGINT": InterruptedStudyError,
    "another driver": TakenOverError,
}


def interruption(result: StudyResult, resume: str = "") -> HandsslError:
    """Return the error of an interrupted run; its cause determines the exit code.

    Args:
        result: Result of the run.
        resume: The command that ends a pause.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the message is left to be printed
    kind = _KINDS.get(result.stopped_by, PausedStudyError)
    return kind(interruption_message(result, sys.argv, resume))


_VERBS = {
    "pause": "paused",
    "another driver": "another driver has taken the study over and continues it",
}


def interruption_message(result: StudyResult, argv: list[str], resume: str = "") -> str:
    """Return a message with what was kept and the command that continues.

    Args:
        result: Result of the interrupted run.
        argv: The command line that was interrupted.
        resume: The command that ends a pause.
    """
    go_on = resume if result.stopped_by == "pause" and resume else ""
    finished = sum(record.outcome not in ("running", "failed") for record in result.records)
    underway = [record for record in result.records if record.outcome == "running"]
    part = ", ".join(f"{r.cell} after epoch {r.epoch} of {r.epochs}" for r in underway)
    kept = f"{finished} of {result.planned} trials finished" if result.planned else "the storage"
    verb = _VERBS.get(result.stopped_by, "interrupted")
    return "\n".join(
        [
            f"{verb}. Kept in {result.storage}: {kept}"
            + (f"; to be continued: {part}." if part else "."),
            f"No process was left behind. {_then(result)}:",
            f"  {go_on or continuing_command(argv, result.storage)}",
        ]
    )


def _then(result: StudyResult) -> str:
    taken = result.stopped_by == "another driver"
    return "Once the other driver has ended, see the results with" if taken else "Continue with"


def _resuming(argv: list[str], source: str, changes: tuple[str, ...], storage: Path) -> str:
    """Return the command that ends a pause, with the options of this command if they apply."""
    if argv[1:3] in (["study", "run"], ["study", "resume"]):
        return continuing_command([*argv[:2], "resume", *argv[3:]], storage)
    return study_command("resume", source, changes, storage)


def continuing_command(argv: list[str], storage: Path) -> str:
    """Return the command that continues, with absolute paths so that it works in any folder.

    Example:
        >>> found = continuing_command(["handssl", "demo", "--quiet"], Path("/my runs"))
        >>> found.endswith("demo --quiet --storage '/my runs'")
        True
    """
    rest = [word for word in argv[1:] if not word.startswith("--storage=")]
    if "--storage" in rest:
        at = rest.index("--storage")
        rest = rest[:at] + rest[at + 2 :]
    return command(*rest, "--storage", str(storage))


def print_summary(summary: Summary) -> None:
    """Print the results to stdout."""
    console = Terminal()
    console.print(summary.table)
    for line in summary.lines:
        # Paths and commands are for copying: never wrapped, never coloured.
        click.echo(line)


def tell_failures(result: StudyResult, errors: Terminal) -> None:
    """Print the reason of every failed trial, and where the details are."""
    for record in result.failed:
        errors.print(
            _failure(record, result.storage),
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _failure(record: Any, storage: Path) -> str:
    where = storage / "trials" / record.trial_id / "error.txt"
    reason = record.tags.get("message", "unknown reason")
    return f"failed: {record.cell}, block {record.block}: {reason} (details: {where})"
