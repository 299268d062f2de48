"""How a study stands, from the ledger alone: whether or not anybody runs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from handssl.data.config import DataConfig
from handssl.data.preparation import prepared
from handssl.data.study_data import StudyData
from handssl.sweep.choosing import choose
from handssl.sweep.extension import extended
from handssl.sweep.plan import PlannedTrial, plan_stage
from handssl.sweep.recorder import EPOCH_S, device_s
from handssl.sweep.scheduler import PRIMARY, StageScheduler
from handssl.sweep.stages import Selection, Stage
from handssl.sweep.study import Study
from handssl.tracking.ledger import Ledger
from handssl.tracking.ledger.claims import study_key
from handssl.tracking.record import EpochMetrics, TrialRecord

State = Literal[
    "completed", "running", "waiting", "to do", "stopped", "diverged", "failed", "cancelled"
]


@dataclass(frozen=True)
class TrialStatus:
    """How a trial stands.

    Attributes:
        trial: As planned.
        state: `waiting` has epochs and no process.
        epoch: The last one recorded.
        median_mm: Primary measure on `select` then, None before.
        reused: Another study has run it first.
        used_s: Time its epochs took, times the devices it was given.
    """

    trial: PlannedTrial
    state: State
    epoch: int
    median_mm: float | None
    reused: bool
    used_s: float


@dataclass(frozen=True)
class StageStatus:
    """How a stage stands.

    Attributes:
        name: Of the stage.
        trials: Its trials; none where its cells follow from a stage that is not over.
        selection: What it has chosen, once it is over.
        epochs_left: At most, given what halving has decided so far.
        waits_for: The stage its cells follow from.
    """

    name: str
    trials: tuple[TrialStatus, ...] = ()
    selection: Selection | None = None
    epochs_left: int = 0
    waits_for: str = ""

    @property
    def counts(self) -> Counter[State]:
        """How many trials are in each state."""
        return Counter(trial.state for trial in self.trials)


@dataclass(frozen=True)
class StudyStatus:
    """How a study stands.

    Attributes:
        study: With what was added to it.
        stages: In order.
        driver: Who runs it, empty if nobody does.
        paused: Whether it waits to be resumed.
        epoch_s: Median time of an epoch, None before the first.
        epoch_device_s: Likewise, times the devices its trial was given.
    """

    study: Study
    stages: tuple[StageStatus, ...]
    driver: str
    paused: bool
    epoch_s: float | None
    epoch_device_s: float | None

    @property
    def trials(self) -> dict[str, TrialStatus]:
        """Every trial once, by id."""
        return {one.trial.trial_id: one for stage in self.stages for one in stage.trials}

    @property
    def best(self) -> TrialStatus | None:
        """The self-supervised trial with the least primary measure; of whole ones, if there are."""
        able = [
            (one.state != "completed", one.median_mm, name)
            for name, one in self.trials.items()
            if one.median_mm is not None and one.trial.objective not in ("reference", "supervised")
        ]
        return self.trials[min(able)[-1]] if able else None

    @property
    def used_s(self) -> float:
        """Device time that trials have taken, reused ones left out."""
        return sum(one.used_s for one in self.trials.values() if not one.reused)

    @property
    def left_s(self) -> float | None:
        """Device time that trials of known stages will take at most."""
        return None if self.epoch_device_s is None else self.epochs_left * self.epoch_device_s

    @property
    def epochs_left(self) -> int:
        """Epochs that trials of known stages will train at most."""
        return sum(stage.epochs_left for stage in self.stages)


def status(study: Study, storage: Path) -> StudyStatus:
    """Return how a study stands.

    Args:
        study: As it is written.
        storage: Folder of the results.

    Raises:
        InputError: The storage holds no results.
        DataError: The ledger cannot be read.
    """
    ledger = Ledger.existing(storage)
    asked = ledger.asked(study.name)
    viewer = _Viewer(extended(study, asked), storage, ledger)
    stages = tuple(viewer.stages())
    driver = viewer.holders.get(study_key(study.name), "")
    epochs = viewer.epochs
    epoch_s, epoch_device_s = (
        median(times) if times else None
        for times in ([one[EPOCH_S] for one in epochs], [device_s(one) for one in epochs])
    )
    return StudyStatus(viewer.study, stages, driver, asked.paused, epoch_s, epoch_device_s)


@dataclass
class _Viewer:
    study: Study
    storage: Path
    ledger: Ledger
    epochs: list[Mapping[str, float]] = field(default_factory=list)
    selections: dict[str, Selection] = field(default_factory=dict)
    _epochs: dict[str, list[EpochMetrics]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.holders = self.ledger.claims.holders()

    def stages(self) -> list[StageStatus]:
        """Look at stage after stage, as far as their cells are known."""
        return [self._stage(stage) for stage in self.study.all_stages]

    def _stage(self, stage: Stage) -> StageStatus:
        unknown = [name for name in self.study.needs(stage) if name not in self.selections]
        if unknown:
            return StageStatus(stage.name, waits_for=unknown[0])
        trials = plan_stage(self.study, stage, self.selections, self._fingerprint)
        scheduler = StageScheduler(self.study, stage.name, trials, self.ledger, looking=True)
        records = {r.trial_id: r for r in self.ledger.load_all(list(scheduler.trials))}
        self._epochs = self.ledger.histories(list(records))
        found = tuple(self._trial(one, scheduler, records.get(one.trial_id)) for one in trials)
        if not scheduler.missing:
            self.selections[stage.name] = choose(
                self.study, stage, scheduler, self.selections, self.ledger
            )
        left = sum(
            max(0, scheduler.target(one.trial) - one.epoch)
            for one in found
            if not scheduler.is_over(one.trial)
        )
        return StageStatus(stage.name, found, self.selections.get(stage.name), left)

    def _trial(
        self, trial: PlannedTrial, scheduler: StageScheduler, record: TrialRecord | None
    ) -> TrialStatus:
        if record is None:
            state: State = "cancelled" if scheduler.is_cancelled(trial) else "to do"
            return TrialStatus(trial, state, 0, None, reused=False, used_s=0.0)
        rows = self._epochs.get(trial.trial_id, [])
        epochs = [row.metrics for row in rows if EPOCH_S in row.metrics and row.epoch]
        self.epochs += epochs
        return TrialStatus(
            trial,
            self._state(trial, scheduler, record),
            record.epoch,
            record.metrics.get(PRIMARY),
            reused=record.study != self.study.name,
            used_s=sum(map(device_s, epochs)),
        )

    def _state(self, trial: PlannedTrial, scheduler: StageScheduler, record: TrialRecord) -> State:
        outcome = scheduler.outcome(record)
        if trial.trial_id in self.holders and outcome != "cancelled":
            return "running"
        # So a record says where another stage or study has stopped it; this one goes on with it.
        elsewhere = outcome in ("stopped", "cancelled") and not scheduler.is_over(trial)
        return "waiting" if outcome == "running" or elsewhere else outcome

    def _fingerprint(self, data: DataConfig) -> str:
        # Looking makes no data: where there are none, no trial has been run either.
        folder = prepared(data, self.storage)
        return StudyData(folder).fingerprint if folder else "none yet"
