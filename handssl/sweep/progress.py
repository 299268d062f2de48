"""Live progress as a value: folded from events, said in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from handssl.sweep.events import (
    Ended,
    EpochEnded,
    Event,
    Notice,
    Planned,
    Preparing,
    Started,
    StepEnded,
)
from handssl.sweep.plan import PlannedTrial
from handssl.sweep.scheduler import PRIMARY


@dataclass
class Progress:
    """How far a study is.

    Attributes:
        total: Trials of the plan.
        done: Trials with an outcome, those of earlier runs included.
        running: Trial and its last epoch.
        best: Label and primary measure of the best self-supervised trial so far.
    """

    total: int = 0
    done: int = 0
    running: dict[str, tuple[PlannedTrial, int]] = field(default_factory=dict)
    best: tuple[str, float] | None = None
    _slots: int = 1
    _waiting: dict[str, float] = field(default_factory=dict)
    _epoch_s: list[float] = field(default_factory=list)
    _preparing: str = "starting"
    _step: tuple[int, int] | None = None
    _metrics: Mapping[str, float] = field(default_factory=dict)
    _notice: str = ""

    def apply(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Preparing(phase, done, total):
                self._preparing = f"preparing the data: {phase} {done}/{total}"
            case Planned():
                self._plan(event)
            case Started(trial, epoch):
                self.running[trial.trial_id] = (trial, epoch)
                self._waiting.pop(trial.trial_id, None)
            case StepEnded(_, done, total):
                self._step = (done, total)
            case EpochEnded():
                self._count(event)
            case Notice(text=text):
                self._notice = text
            case Ended(trial):
                self.running.pop(trial.trial_id, None)
                self._waiting.pop(trial.trial_id, None)
                self.done += 1

    def seconds_left(self) -> float | None:
        """Estimate from epochs left, measured seconds an epoch and trials at once.

        Returns:
            Seconds, or None before the first epoch was measured.
        """
        if not self._epoch_s:
            return None
        underway = sum(trial.epochs - epoch for trial, epoch in self.running.values())
        epochs = underway + sum(self._waiting.values())
        return epochs * sum(self._epoch_s) / len(self._epoch_s) / self._slots

    def line(self, elapsed_s: float) -> str:
        """Say everything in one line.

        Args:
            elapsed_s: Seconds since the start.
        """
        if not self.total:
            return f"{self._preparing}, {clock(elapsed_s)}"
        if self.done == self.total:
            return f"{self.done}/{self.total} trials done, {clock(elapsed_s)} elapsed"
        running = ", ".join(
            f"{trial.cell} {epoch}/{trial.epochs}" if trial.epochs else trial.cell
            for trial, epoch in self.running.values()
        )
        left = self.seconds_left()
        parts = [
            f"{self.done}/{self.total} trials",
            running or "starting workers",
            *self._details(),
            f"best {self.best[0]} {self.best[1]:.1f} mm" if self.best else "best: none yet",
            f"{clock(elapsed_s)} elapsed",
            f"about {clock(left)} left" if left is not None else "time left: measuring",
        ]
        return " | ".join(parts)

    def _details(self) -> list[str]:
        """Return what there is room for where one trial runs alone."""
        if self.total > 1:
            return []
        if self._notice:
            return [self._notice]
        parts = [f"step {self._step[0]}/{self._step[1]}"] if self._step else []
        known = self._metrics
        if "train/loss" in known:
            parts.append(f"loss {known['train/loss']:.3f}")
        if known.get("train/views_per_s"):
            waited = known["train/data_s"] * known["train/views_per_s"] / self._views(known)
            parts += [f"{known['train/views_per_s']:,.0f} views/s", f"{waited:.0%} on data"]
        return parts

    def _views(self, known: Mapping[str, float]) -> float:
        steps = self._step[1] if self._step else 1
        return max(1.0, steps * known["train/views_per_step"])

    def _plan(self, event: Planned) -> None:
        self.total, self._slots = len(event.trials), event.slots
        self.done = len(event.trials) - len(event.missing)
        self._waiting = {trial.trial_id: expected_epochs(event, trial) for trial in event.missing}

    def _count(self, event: EpochEnded) -> None:
        trial, value = event.trial, event.metrics.get(PRIMARY, math.nan)
        self._metrics, self._notice = event.metrics, ""
        self.running[trial.trial_id] = (trial, event.epoch)
        if trial.epochs and math.isfinite(event.seconds):
            self._epoch_s.append(event.seconds)
        is_candidate = trial.objective not in ("reference", "supervised")
        if is_candidate and value < (self.best[1] if self.best else math.inf):
            self.best = (trial.cell, value)


def expected_epochs(plan: Planned, trial: PlannedTrial) -> float:
    """Return the epochs a waiting trial will probably take, given that halving may stop it."""
    halving = plan.study.halving
    if trial.exempt or halving is None:
        return trial.epochs
    return halving.grace_epochs + (trial.epochs - halving.grace_epochs) / halving.reduction_factor


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds.

    Example:
        >>> clock(192.4)
        '3:12'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
