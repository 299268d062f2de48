"""Run a study for a person: live progress, then what came out and what to do next."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handssl.cli.live import LiveProgress
from handssl.cli.summary import Summary, summarise, write_markdown
from handssl.cli.terminal import Terminal
from handssl.commands import command
from handssl.errors import HandsslError, InterruptedStudyError, PausedStudyError, TakenOverError
from handssl.sweep.supervised import run as run_study

if TYPE_CHECKING:
    from handssl.sweep.result import StudyResult
    from handssl.sweep.running import Running
    from handssl.sweep.study import Study


def execute(
    study: Study,
    storage: Path | None,
    tracking_uri: str | None,
    *,
    quiet: bool,
    as_json: bool,
    markdown: Path | None,
    how: Running | None = None,
) -> int:
    """Run a study and print its results.

    Args:
        study: What to run.
        storage: Folder of the results, or None for the default.
        tracking_uri: MLflow store, or None for the default.
        quiet: No live progress.
        as_json: One JSON document instead of the table.
        markdown: A file that gets the results too.
        how: What trials are given.

    Returns:
        Exit code: 0, or 1 if a trial failed.

    Raises:
        InterruptedStudyError: It was interrupted; the message says how to go on.
        PausedStudyError: Likewise, by SIGTERM or because its time was over.
        TakenOverError: Another driver has taken it over and goes on with it.
    """
    errors = Terminal(stderr=True)
    with LiveProgress(errors, quiet=quiet) as progress:
        result = run_study(
            study, storage=storage, tracking_uri=tracking_uri, running=how, on_event=progress
        )
    if result.interrupted:
        raise interruption(result)
    summary = summarise(result)
    if markdown is not None:
        write_markdown(summary, markdown)
    if as_json:
        click.echo(json.dumps(summary.document, indent=2))
    else:
        print_summary(summary)
    tell_failures(result, errors)
    return 1 if result.failed else 0


_KINDS: dict[str, type[HandsslError]] = {
    "SIGINT": InterruptedStudyError,
    "another driver": TakenOverError,
}


def interruption(result: StudyResult) -> HandsslError:
    """Return the error of a run that was interrupted; what stopped it decides the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the message is left to be said
    kind = _KINDS.get(result.stopped_by, PausedStudyError)
    return kind(interruption_message(result, sys.argv))


_VERBS = {
    "pause": "paused",
    "another driver": "another driver has taken the study over and goes on with it",
}


def interruption_message(result: StudyResult, argv: list[str]) -> str:
    """Say what was kept and which command goes on.

    Args:
        result: Of the interrupted run.
        argv: The command line that was interrupted.
    """
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
            f"  {continuing_command(_resuming(argv, result), result.storage)}",
        ]
    )


def _then(result: StudyResult) -> str:
    taken = result.stopped_by == "another driver"
    return "Once the other has ended, see what is there with" if taken else "Continue with"


def _resuming(argv: list[str], result: StudyResult) -> list[str]:
    """Return the command line, with the verb that ends a pause if there is one."""
    if result.stopped_by != "pause" or argv[1:3] != ["study", "run"]:
        return argv
    return [*argv[:2], "resume", *argv[3:]]


def continuing_command(argv: list[str], storage: Path) -> str:
    """Return the command that continues, from any folder: program and storage in full.

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
    """Say of every trial that failed why, and where the details are."""
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
