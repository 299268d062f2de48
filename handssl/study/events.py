"""Events of a running study, for live progress and for callers of `run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from handssl.study.stages import Selection
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial

Outcome = Literal["completed", "stopped", "diverged", "failed", "cancelled"]


@dataclass(frozen=True)
class Preparing:
    """The data is being prepared: `done` of `total` images of a phase."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Planned:
    """A stage is planned: its trials, the missing ones, and how many run at once.

    A running trial uses `devices` GPUs, or cores if there are none.
    """

    study: Study
    trials: tuple[PlannedTrial, ...]
    missing: tuple[PlannedTrial, ...]
    slots: int
    stage: str = ""
    devices: float = 1.0
    device: str = "core"


@dataclass(frozen=True)
class Selected:
    """A stage is over, with its selection."""

    selection: Selection


@dataclass(frozen=True)
class Started:
    """A trial starts, or resumes after `epoch` epochs of an earlier run."""

    trial: PlannedTrial
    epoch: int


@dataclass(frozen=True)
class EpochEnded:
    """A trial has finished an epoch in `seconds` seconds; NaN if an earlier run trained it."""

    trial: PlannedTrial
    epoch: int
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class StepEnded:
    """A trial has done `done` of the `total` steps of its epoch; only in a run of one trial."""

    trial: PlannedTrial
    done: int
    total: int


@dataclass(frozen=True)
class Paused:
    """A trial waits, after `epoch` epochs, until its competitors have reached the same rung."""

    trial: PlannedTrial
    epoch: int


@dataclass(frozen=True)
class Ended:
    """A trial is over; `median_mm` is its last value, `message` why it diverged or failed."""

    trial: PlannedTrial
    outcome: Outcome
    epoch: int
    median_mm: float
    message: str = ""


@dataclass(frozen=True)
class WorkerEvent:
    """Workers of a trial were lost or are awaited; `replayed_steps` steps must be repeated."""

    trial: PlannedTrial
    text: str
    replayed_steps: int = 0


@dataclass(frozen=True)
class Stopping:
    """An interruption was requested; running trials are being stopped."""


@dataclass(frozen=True)
class Tick:
    """Nothing new, the sweep is running; sent several times a second."""


@dataclass(frozen=True)
class Waiting:
    """Training waits for something: workers, or the last copies of checkpoints."""

    what: Literal["workers", "checkpoints"]


@dataclass(frozen=True)
class StudyMessage:
    """A message for the user that doesn't end the run."""

    message: str


Event = (
    Preparing
    | Planned
    | Started
    | StepEnded
    | EpochEnded
    | Paused
    | WorkerEvent
    | Ended
    | Selected
    | Stopping
    | Waiting
    | StudyMessage
    | Tick
)
OnEvent = Callable[[Event], None]
