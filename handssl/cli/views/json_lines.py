"""Events of one run as JSON lines on stdout, for programs; described in docs/training.md."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from handssl.cli.views.terminal import to_nowhere
from handssl.errors import HandsslError
from handssl.execution.progress import Progress
from handssl.execution.speed import images_per_s, waiting_share
from handssl.runtime.secrets import masked
from handssl.study.events import (
    EpochEnded,
    Event,
    Planned,
    Preparing,
    Started,
    StudyMessage,
    Waiting,
    WorkerEvent,
)

if TYPE_CHECKING:
    from handssl.cli.views.summary import Summary
    from handssl.execution.result import StudyResult

_PERIOD_IMAGES = 0.1  # of the images of a phase between two lines


class JsonLines:
    """Writes a JSON object for each event of a run that is relevant to programs.

    If the reader closes the pipe, the run continues and the rest is dropped.
    """

    def __init__(self) -> None:
        self._progress = Progress()
        self._last: tuple[str, int] = ("", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, HandsslError):
            self._write("error", message=masked(str(error)), exit_code=error.exit_code)

    def __call__(self, event: Event) -> None:
        """Process one event."""
        self._progress.apply(event)
        match event:
            case Preparing():
                self._prepare(event)
            case Waiting(what):
                self._write("waiting", what=what)
            case Started(trial, epoch):
                values = {"cell": trial.cell, "seed": trial.block, "epoch": epoch}
                self._write("started", trial_id=trial.trial_id, **values, epochs=trial.epochs)
            case EpochEnded():
                self._epoch(event)
            case StudyMessage(message):
                self._write("note", message=masked(message))
            case WorkerEvent(_, text, again):
                self._write("note", message=masked(text), replayed_steps=again)
            case Planned():
                self._last = ("", 0)

    def stopped(self, result: StudyResult, command: str) -> None:
        """Report that the run was stopped, with the command that continues it."""
        for record in result.records:
            done = {"epoch": record.epoch, "epochs": record.epochs}
            by = {"by": result.stopped_by, "continue": command}
            self._write("stopped", trial_id=record.trial_id, **done, **by)

    def ended(self, result: StudyResult, summary: Summary) -> None:
        """Report the results, also of a run that had ended before."""
        shown = {name: summary.document[name] for name in ("storage", "page", "tracking_uri")}
        for record in result.records:
            values = record.model_dump(mode="json", include=set(_ENDED))
            message = record.tags.get("message", "")
            self._write("ended", **values, message=message, **shown)

    def _prepare(self, event: Preparing) -> None:
        """Report every tenth of a phase, as it has thousands of images."""
        part = int(event.done / max(1, event.total) / _PERIOD_IMAGES)
        if self._last != (event.phase, part):
            self._last = (event.phase, part)
            self._write("waiting", what=f"data: {event.phase}", done=event.done, total=event.total)

    def _epoch(self, event: EpochEnded) -> None:
        trial, metrics = event.trial, event.metrics
        self._write(
            "epoch",
            trial_id=trial.trial_id,
            epoch=event.epoch,
            epochs=trial.epochs,
            seconds=_number(event.seconds),
            seconds_left=_number(self._progress.seconds_left()),
            images_per_s=images_per_s(trial, metrics),
            waiting_share=waiting_share(event.epoch, metrics),
            loss=_number(metrics.get("train/loss")),
            median_mm=_number(metrics.get("median_mm")),
            metrics={name: _number(value) for name, value in metrics.items()},
        )

    def _write(self, event: str, **values: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, "time": now, **values}, allow_nan=False)
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            to_nowhere(sys.stdout.fileno())


_ENDED = ("trial_id", "cell", "outcome", "epoch", "epochs", "metrics", "mlflow_run_id")


def _number(value: float | None) -> float | None:
    """Return a number that JSON can represent, None if it is not finite."""
    return value if value is not None and math.isfinite(value) else None
