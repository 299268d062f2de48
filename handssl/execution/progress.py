"""Live progress of a study, computed from events and formatted as one line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.execution.speed import measured
from handssl.study.events import (
    Ended,
    EpochEnded,
    Event,
    Planned,
    Preparing,
    Started,
    StepEnded,
    Waiting,
    WorkerEvent,
)
from handssl.study.trials import PlannedTrial

_WORTH_SAYING = ("stopped", "diverged", "failed", "cancelled")


@dataclass
class Progress:
    """Progress of a study.

    Attributes:
        total: Number of trials of the plan.
        done: Number of trials with an outcome, including those of earlier runs.
        running: (trial, last epoch) of the running trials, by trial id.
        best: Label and primary measure in mm of the best self-supervised trial so far.
        reused: Number of trials that earlier runs or other studies had finished.
        outcomes: Number of ended trials of this run, by outcome.
        used_s: Device-seconds: seconds of all trials together, times the devices of each.
    """

    total: int = 0
    done: int = 0
    running: dict[str, tuple[PlannedTrial, int]] = field(default_factory=dict)
    best: tuple[str, float] | None = None
    reused: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    used_s: float = 0.0
    _devices: tuple[float, str] = (1.0, "core")
    _slots: int = 1
    _waiting: dict[str, float] = field(default_factory=dict)
    _epoch_s: list[float] = field(default_factory=list)
    _preparing: str = "starting"
    _step: tuple[int, int] | None = None
    _metrics: Mapping[str, float] = field(default_factory=dict)
    _awaited: str = ""

    def apply(self, event: Event) -> None:
        """Update the progress with one event."""
        match event:
            case Preparing(phase, done, total):
                self._preparing = f"preparing the data: {phase} {done}/{total}"
            case Planned():
                self._plan(event)
            case Waiting(what):
                self._awaited = f"waiting for {what}"
            case Started(trial, epoch):
                self.running[trial.trial_id] = (trial, epoch)
                self._waiting.pop(trial.trial_id, None)
            case StepEnded(_, done, total):
                self._step, self._awaited = (done, total), ""
            case EpochEnded():
                self._count(event)
            case WorkerEvent(text=text) if self.total == 1:
                self._awaited = text  # with several trials, the others continue
            case Ended(trial, outcome):
                self.outcomes[outcome] += 1
                self.running.pop(trial.trial_id, None)
                self._waiting.pop(trial.trial_id, None)
                self._awaited = ""
                self.done += 1

    def seconds_left(self) -> float | None:
        """Estimate the time left from epochs left, measured seconds per epoch and trials at once.

        Returns:
            Seconds, or None before the first epoch was measured.
        """
        if not self._epoch_s:
            return None
        underway = sum(trial.epochs - epoch for trial, epoch in self.running.values())
        epochs = underway + sum(self._waiting.values())
        # The first epoch of a single run includes its start, with workers most of a minute.
        known = self._epoch_s[1:] if self.total == 1 else []
        known = known or self._epoch_s
        return epochs * sum(known) / len(known) / self._slots

    def line(self, elapsed_s: float) -> str:
        """Format the progress as one line.

        Args:
            elapsed_s: Seconds since the start.
        """
        if not self.total:
            return f"{self._preparing}, {clock(elapsed_s)}"
        if self._awaited:
            return f"{self._awaited}, {clock(elapsed_s)}"
        if self.done == self.total:
            return f"{self.done}/{self.total} trials done, {clock(elapsed_s)} elapsed"
        left = self.seconds_left()
        return " | ".join(
            [
                *(self._study() if self.total > 1 else self._run()),
                f"{clock(elapsed_s)} elapsed",
                f"about {clock(left)} left" if left is not None else "time left: measuring",
            ]
        )

    def _study(self) -> list[str]:
        """Return the parts of the line for several trials."""
        running = ", ".join(
            f"{trial.cell} {epoch}/{trial.epochs}" if trial.epochs else trial.cell
            for trial, epoch in self.running.values()
        )
        best = f"best {self.best[0]} {self.best[1]:.1f} mm" if self.best else "best: none yet"
        counts = {"reused": self.reused} | {k: self.outcomes[k] for k in _WORTH_SAYING}
        ended = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        done = f"{self.done}/{self.total} trials" + (f" ({ended})" if ended else "")
        return [done, running or "starting workers", best, *self._hours()]

    def _hours(self) -> list[str]:
        """Return the device hours used and left, if an epoch was measured."""
        left_s = self.seconds_left()
        if left_s is None:
            return []
        count, device = self._devices
        left = left_s * self._slots * count / 3600
        return [f"{device} hours: {self.used_s / 3600:.2f} used, about {left:.2f} left"]

    def _run(self) -> list[str]:
        """Return the parts of the line for a single trial."""
        parts: list[str] = []
        for trial, epoch in self.running.values():
            done, steps = self._step or (0, 0)
            at = f"{epoch + 1 if done else epoch}/{trial.epochs}"
            parts += [trial.cell, f"epoch {at}" + (f", step {done}/{steps}" if done else "")]
            parts += measured(trial, epoch, self._metrics)
        return parts or ["starting"]

    def _plan(self, event: Planned) -> None:
        self.total, self._slots = len(event.trials), event.slots
        self.done = self.reused = len(event.trials) - len(event.missing)
        self.outcomes.clear()
        self.running.clear()  # those of the last stage, or of a Ray that has ended
        self._devices = (event.devices, event.device)
        self._waiting = {trial.trial_id: expected_epochs(event, trial) for trial in event.missing}

    def _count(self, event: EpochEnded) -> None:
        trial, value = event.trial, event.metrics.get(PRIMARY_METRIC, math.nan)
        self._metrics, self._awaited, self._step = event.metrics, "", None
        self.running[trial.trial_id] = (trial, event.epoch)
        if trial.epochs and math.isfinite(event.seconds):
            self._epoch_s.append(event.seconds)
            self.used_s += event.seconds * self._devices[0]
        is_candidate = trial.objective not in ("reference", "supervised")
        if is_candidate and value < (self.best[1] if self.best else math.inf):
            self.best = (trial.cell, value)


def expected_epochs(plan: Planned, trial: PlannedTrial) -> float:
    """Return the expected epochs of a waiting trial, given that halving may stop it."""
    halving = plan.study.halving
    if trial.exempt or halving is None:
        return trial.epochs
    return halving.grace_epochs + (trial.epochs - halving.grace_epochs) / halving.reduction_factor


def clock(seconds: float) -> str:
    """Format a duration as minutes and seconds.

    Example:
        >>> clock(192.4)
        '3:12'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
