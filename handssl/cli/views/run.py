"""Runs one pretraining and shows its progress and results, as text or as JSON lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handssl.cli.views.json_lines import JsonLines
from handssl.cli.views.live import RunProgress
from handssl.cli.views.study_run import (
    continuing_command,
    interruption,
    print_summary,
    tell_failures,
)
from handssl.cli.views.summary import Summary, summarise, write_markdown
from handssl.cli.views.terminal import Terminal

if TYPE_CHECKING:
    from handssl.execution.result import StudyResult
    from handssl.execution.resume import Resumed
    from handssl.study.run_config import RunConfig


@dataclass(frozen=True)
class Shown:
    """Output options of a run.

    Attributes:
        quiet: Show only errors.
        as_json: Write JSON lines to stdout.
        markdown: A file to which the results are also written.
    """

    quiet: bool = False
    as_json: bool = False
    markdown: Path | None = None


class Text(RunProgress):
    """Text view: progress on stderr, the table on stdout."""

    def stopped(self, result: StudyResult, command: str) -> None:
        """Print nothing: the error that follows reports it."""

    def ended(self, result: StudyResult, summary: Summary) -> None:
        """Print the table."""
        if not self._quiet:
            print_summary(summary)


def train(run: RunConfig, shown: Shown, **options: Any) -> int:
    """Run one pretraining and show it.

    Args:
        run: The run's configuration.
        shown: Output options.
        options: Further arguments of `handssl.execution.single_run.pretrain`.

    Returns:
        Exit code: 0, or 1 if it failed.

    Raises:
        InterruptedStudyError: It was interrupted; the message says how to continue.
        PausedStudyError: It was stopped by SIGTERM or its time limit; the message says how to
            continue.
    """
    from handssl.execution.single_run import pretrain

    view = _view(shown)
    with view:
        result = pretrain(run, on_event=view, **options)
        if result.interrupted:
            view.stopped(result, continuing_command(sys.argv, result.storage))
    if result.interrupted:
        raise interruption(result)
    return _close(result, view, shown)


def show_finished(resumed: Resumed, shown: Shown) -> int:
    """Report that a run had already ended, and its results.

    Returns:
        Exit code 0.
    """
    from handssl.execution.result import StudyResult

    record, study = resumed.record, resumed.run.study()
    result = StudyResult(study, resumed.storage, resumed.tracking_uri, (record,), planned=1)
    if not shown.quiet:
        Terminal(stderr=True).print(
            f"{record.cell}, block {record.block}: {record.outcome} earlier, after epoch "
            f"{record.epoch} of {record.epochs}; nothing is left to do",
            highlight=False,
            soft_wrap=True,
        )
    return _close(result, _view(shown), shown)


def _view(shown: Shown) -> Text | JsonLines:
    return JsonLines() if shown.as_json else Text(Terminal(stderr=True), quiet=shown.quiet)


def _close(result: StudyResult, view: Text | JsonLines, shown: Shown) -> int:
    summary = summarise(result)
    if shown.markdown is not None:
        write_markdown(summary, shown.markdown)
    view.ended(result, summary)
    tell_failures(result, Terminal(stderr=True))
    return 1 if result.failed else 0
