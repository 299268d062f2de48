"""Live progress on the terminal: one updated line, or a plain line every few seconds."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from handssl.execution.progress import Progress
from handssl.report.conclusions import choices
from handssl.runtime.secrets import masked
from handssl.study.events import (
    Ended,
    EpochEnded,
    Event,
    Planned,
    Selected,
    Stopping,
    StudyMessage,
    Waiting,
    WorkerEvent,
)

PLAIN_PERIOD_S = 10.0


class LiveProgress:
    """Shows a study's events on stderr, so that stdout holds results only.

    Args:
        console: Console to print to; a terminal gets one live line, anything else plain lines.
        quiet: Show nothing.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._progress, self._start_s = Progress(), time.monotonic()
        self._spoke_s = -PLAIN_PERIOD_S
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(
                console=self._console,
                get_renderable=lambda: Text(self._line(), style="cyan"),
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Process one event and show the change."""
        self._progress.apply(event)
        if self._quiet:
            return
        if isinstance(event, Ended):
            self._console.print(_ended(event), highlight=False)
        elif isinstance(event, Selected):
            self._tell_choices(event)
        elif isinstance(event, Stopping):
            self._console.print("Stopping the workers, one moment.", highlight=False)
        elif isinstance(event, StudyMessage | WorkerEvent):
            said = event.message if isinstance(event, StudyMessage) else event.text
            self._console.print(masked(said), style="yellow", highlight=False, soft_wrap=True)
        if not self._live:
            self._speak(event)

    def _tell_choices(self, event: Selected) -> None:
        """Print what a stage has chosen for the stages that depend on it."""
        for said in choices(event.selection):
            self._console.print(said, style="bold", highlight=False, soft_wrap=True)

    def _speak(self, event: Event) -> None:
        """Print the progress if there is no live line."""
        now_s = time.monotonic()
        if now_s - self._spoke_s >= PLAIN_PERIOD_S:
            self._spoke_s = now_s
            self._console.print(self._line(), highlight=False, soft_wrap=True)

    def _line(self) -> str:
        return self._progress.line(time.monotonic() - self._start_s)


class RunProgress(LiveProgress):
    """Shows one run: on a terminal a live line, elsewhere a plain line per epoch."""

    _planned = False

    def _tell_choices(self, event: Selected) -> None:
        """Print nothing: a single run chooses nothing."""

    def _speak(self, event: Event) -> None:
        self._planned = self._planned or isinstance(event, Planned)
        if not self._planned:
            super()._speak(event)
        elif isinstance(event, Waiting) or _is_new(event):
            self._console.print(self._line(), highlight=False, soft_wrap=True)


def _is_new(event: Event) -> bool:
    """Return whether an epoch was run now; those of an earlier run are not printed again."""
    return isinstance(event, EpochEnded) and math.isfinite(event.seconds)


def _ended(event: Ended) -> str:
    value = f"{event.median_mm:.1f} mm" if math.isfinite(event.median_mm) else ""
    where = f"{event.trial.cell}, block {event.trial.block}"
    after = f" after epoch {event.epoch}" if event.outcome != "completed" else ""
    return " ".join(f"{where}: {event.outcome}{after} {value} {event.message}".split())
