"""Status of a study from its ledger, whether it is running or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from handssl.data.config import DataConfig
from handssl.data.preparation import prepared
from handssl.data.splits import StudyData
from handssl.errors import DataError
from handssl.evaluation.metric_names import PRIMARY_METRIC
from handssl.execution.initial_weights import with_initial_weights
from handssl.execution.recorder import DEVICE_S, EPOCH_S, device_s
from handssl.execution.stage_outcomes import choose
from handssl.ledger import Ledger
from handssl.ledger.claims import study_key
from handssl.ledger.record import EpochMetrics, TrialRecord
from handssl.planning.preregistration import numerics_of
from handssl.study.extension import as_first_planned, extended
from handssl.study.identity import NUMERICS_VERSION
from handssl.study.stages import Selection, Stage
from handssl.study.study import Study
from handssl.study.trials import (
    PlannedTrial,
    StudyScheduler,
    as_recorded,
    plan_stage,
    stage_scheduler,
)

State = Literal[
    "completed", "running", "waiting", "to do", "stopped", "diverged", "failed", "cancelled"
]


@dataclass(frozen=True)
class TrialStatus:
    """Status of a trial.

    Attributes:
        trial: The planned trial.
        state: State of the trial; `waiting` means that it has been started but isn't running.
        epoch: Last recorded epoch.
        median_mm: Primary measure on `select` in mm after that epoch; None if there is none.
        reused: Whether another study has run it first.
        used_s: Device-seconds: time of its epochs, times the devices it used.
    """

    trial: PlannedTrial
    state: State
    epoch: int
    median_mm: float | None
    reused: bool
    used_s: float


@dataclass(frozen=True)
class StageStatus:
    """Status of a stage.

    Attributes:
        name: Name of the stage.
        trials: Its trials; empty if its cells depend on a stage that is not over.
        selection: Its selection; None while it is not over.
        epochs_left: Epochs left at most, given the halving decisions so far.
        waits_for: Name of an unfinished stage on which its cells depend; empty if there is none.
    """

    name: str
    trials: tuple[TrialStatus, ...] = ()
    selection: Selection | None = None
    epochs_left: int = 0
    waits_for: str = ""

    @property
    def counts(self) -> Counter[State]:
        """Number of trials in each state."""
        return Counter(trial.state for trial in self.trials)


@dataclass(frozen=True)
class StudyStatus:
    """Status of a study.

    Attributes:
        study: The study, including its extensions.
        stages: Status of each stage, in order.
        driver: Description of the driver that runs it; empty if none does.
        paused: Whether it is paused.
        epoch_s: Median duration of an epoch in seconds; None before the first.
        epoch_device_s: Median device-seconds of an epoch; None before the first.
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
        """Self-supervised trial with the smallest primary measure; completed ones come first."""
        able = [
            (one.state != "completed", one.median_mm, name)
            for name, one in self.trials.items()
            if one.median_mm is not None and one.trial.objective not in ("reference", "supervised")
        ]
        return self.trials[min(able)[-1]] if able else None

    @property
    def used_s(self) -> float:
        """Device-seconds that trials have used, without reused trials."""
        return sum(one.used_s for one in self.trials.values() if not one.reused)

    @property
    def left_s(self) -> float | None:
        """Device-seconds that trials of known stages will use at most; None if not known."""
        return None if self.epoch_device_s is None else self.epochs_left * self.epoch_device_s

    @property
    def epochs_left(self) -> int:
        """Epochs that trials of known stages will still train at most."""
        return sum(stage.epochs_left for stage in self.stages)


def status(study: Study, storage: Path) -> StudyStatus:
    """Return the status of a study.

    Args:
        study: The study as written in its file.
        storage: Folder of the results.

    Raises:
        InputError: The storage holds no results.
        DataError: The ledger cannot be read.
    """
    ledger = Ledger.existing(storage)
    study = with_initial_weights(study, storage, keep=False)
    asked = ledger.asked(study.name)
    study = as_first_planned(study, ledger.studies.plan(study.name))
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
    _fingerprints: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.holders = self.ledger.claims.holders()
        plan = self.ledger.studies.plan(self.study.name)
        self.is_of_other_numerics = numerics_of(plan) != str(NUMERICS_VERSION)

    def stages(self) -> list[StageStatus]:
        """Return the status of all stages, with trials as far as their cells are known."""
        return [self._stage(stage) for stage in self.study.all_stages]

    def _stage(self, stage: Stage) -> StageStatus:
        unknown = [name for name in self.study.needs(stage) if name not in self.selections]
        if unknown:
            return StageStatus(stage.name, waits_for=unknown[0])
        trials = plan_stage(self.study, stage, self.selections, self._fingerprint)
        if self.is_of_other_numerics:
            trials = as_recorded(trials, self.ledger.all(self.study.name))
        scheduler = stage_scheduler(self.study, stage.name, trials, self.ledger, read_only=True)
        records = {r.trial_id: r for r in self.ledger.load_all(list(scheduler.trials))}
        self._epochs = self.ledger.histories(list(records), (EPOCH_S, DEVICE_S))
        found = tuple(self._trial(one, scheduler, records.get(one.trial_id)) for one in trials)
        # A choice waits for trials alone: storages of earlier versions lack some references.
        if all(trial.kind != "trial" for trial in scheduler.missing):
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
        self, trial: PlannedTrial, scheduler: StudyScheduler, record: TrialRecord | None
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
            record.metrics.get(PRIMARY_METRIC),
            reused=record.study != self.study.name,
            used_s=sum(map(device_s, epochs)),
        )

    def _state(self, trial: PlannedTrial, scheduler: StudyScheduler, record: TrialRecord) -> State:
        outcome = scheduler.outcome(record)
        if trial.trial_id in self.holders and outcome != "cancelled":
            return "running"
        # Another stage or study has stopped the trial; this one will continue it.
        elsewhere = outcome in ("stopped", "cancelled") and not scheduler.is_over(trial)
        return "waiting" if outcome == "running" or elsewhere else outcome

    def _fingerprint(self, data: DataConfig) -> str:
        # Every trial asks, and opening a store reads its manifest and arrays.
        known = data.model_dump_json()
        if known not in self._fingerprints:
            folder = prepared(data, self.storage)
            found = StudyData(folder).fingerprint if folder else self._recorded_fingerprint()
            self._fingerprints[known] = found
        return self._fingerprints[known]

    def _recorded_fingerprint(self) -> str:
        """Return the fingerprint of data that have been removed, as recorded with the trials."""
        tags = [record.tags for record in self.ledger.all(self.study.name)]
        found = {one["data_fingerprint"] for one in tags if "data_fingerprint" in one}
        if len(found) > 1:
            raise DataError(
                f"study {self.study.name}: expected its data in {self.storage}, found none, and "
                f"its trials have used {len(found)} data sets; restore the data, or run the study"
            )
        return found.pop() if found else "no trial yet"
