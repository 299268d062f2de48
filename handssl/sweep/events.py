"""What a running study tells about itself, for live progress and for callers of `run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from handssl.sweep.plan import PlannedTrial
from handssl.sweep.stages import Selection
from handssl.sweep.study import Study

Outcome = Literal["completed", "stopped", "diverged", "failed", "cancelled"]


@dataclass(frozen=True)
class Preparing:
    """The data is being made: `done` of `total` images of a phase."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Planned:
    """A stage's plan stands: its trials, those nobody has finished, and how many run at once.

    A trial that runs takes `devices` GPUs, or cores where there are none.
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
    """A stage is over and has chosen."""

    selection: Selection


@dataclass(frozen=True)
class Started:
    """A trial begins, or goes on after `epoch` epochs of an earlier run."""

    trial: PlannedTrial
    epoch: int


@dataclass(frozen=True)
class EpochEnded:
    """A trial has an epoch more; `seconds` is how long it took, NaN if an earlier run made it."""

    trial: PlannedTrial
    epoch: int
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class StepEnded:
    """A trial has made `done` of the `total` steps of its epoch; from a run alone."""

    trial: PlannedTrial
    done: int
    total: int


@dataclass(frozen=True)
class Paused:
    """A trial waits, after `epoch` epochs, until those it is compared with have come as far."""

    trial: PlannedTrial
    epoch: int


@dataclass(frozen=True)
class Ended:
    """A trial is over; `median_mm` is its last, `message` says why if it diverged or failed."""

    trial: PlannedTrial
    outcome: Outcome
    epoch: int
    median_mm: float
    message: str = ""


@dataclass(frozen=True)
class Notice:
    """Workers of a trial were lost or are waited for; `replayed_steps` have to be made again."""

    trial: PlannedTrial
    text: str
    replayed_steps: int = 0


@dataclass(frozen=True)
class Stopping:
    """An interruption was asked for; running trials are being stopped."""


@dataclass(frozen=True)
class Tick:
    """Nothing new: the sweep is alive; comes several times a second."""


@dataclass(frozen=True)
class Waiting:
    """Nothing is trained until something else is there: workers, or the last copies."""

    what: Literal["workers", "checkpoints"]


@dataclass(frozen=True)
class Note:
    """Something a user should know that ends nothing."""

    message: str


Event = (
    Preparing
    | Planned
    | Started
    | StepEnded
    | EpochEnded
    | Paused
    | Notice
    | Ended
    | Selected
    | Stopping
    | Waiting
    | Note
    | Tick
)
OnEvent = Callable[[Event], None]
