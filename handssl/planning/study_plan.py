"""Plan of a study: its trials, their cost, and the effects they can detect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from handssl.data.config import DataConfig, ProceduralData, parts_of
from handssl.evaluation.predictions import SPLITS
from handssl.ledger import Ledger, has_results
from handssl.ledger.record import TrialRecord
from handssl.planning.confirmation_share import ConfirmationShare, confirmation_shares
from handssl.planning.data import DataFacts, inspect_dataset
from handssl.planning.detectable_effects import Detectable, confounding, detectable_effects
from handssl.planning.device_hours import Clock, Hours, representatives
from handssl.planning.disk import Disk, disk_peak
from handssl.planning.execution_options import ExecutionOptions
from handssl.planning.noise import NoiseFloor, noise_floors, noise_of, primary_noise
from handssl.planning.planned_trials import PlannedStage, plan_stages
from handssl.planning.preregistration import Preregistration, deviations, plan_hash, preregistration
from handssl.planning.recommendation import Designs, blocks_for_paired, recommended
from handssl.planning.remaining_work import StageWork, work_of
from handssl.planning.resources import available_cpus, divided, fitting, largest_step, smallest_gpu
from handssl.planning.timing import Measured, OnProgress, measure_steps
from handssl.planning.trial_size import trial_size
from handssl.planning.variation import Variation, at_least, variation
from handssl.study.extension import as_first_planned
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial

# Assumed number of images per split if the packed store is missing: those of FreiHAND.
_SUPPOSED = {"pretrain": 117_216, "probe": 105_496, "select": 11_720, "test": 13_024}


@dataclass(frozen=True)
class Slots:
    """Trials that this machine would run at once.

    Attributes:
        trials: Number of trials at once.
        devices: Number of GPUs, or of cores if there is no GPU.
        device: `GPU` or `core`.
    """

    trials: int
    devices: int
    device: str


@dataclass(frozen=True)
class Memory:
    """GPU memory that trials need.

    Attributes:
        step_bytes: Estimated bytes of the largest step, without resident crops; None if unknown.
        gpu_bytes: Memory of this machine's smallest GPU in bytes; None without a GPU.
        trials_per_gpu: Number of trials that would share a GPU.
    """

    step_bytes: int | None
    gpu_bytes: int | None
    trials_per_gpu: int

    @property
    def fits(self) -> bool:
        """Whether one trial fits into the GPU's memory, as far as known."""
        return not self.step_bytes or not self.gpu_bytes or self.step_bytes <= self.gpu_bytes


class StudyPlan:
    """Plan printed by `study plan`. Nothing is written: no data prepared, no ledger created.

    Args:
        study: The study.
        storage: Folder of the results, which need not exist.
        sd_mm: Standard deviation of paired differences in mm; None: measured or assumed.
    """

    def __init__(self, study: Study, storage: Path, *, sd_mm: float | None = None) -> None:
        self.study, self.storage = study, storage
        self._looked: dict[str, DataFacts] = {}
        self._earlier: tuple[TrialRecord, ...] = ()
        self._first: dict[str, object] | None = None
        if has_results(storage):
            ledger = Ledger(storage)
            self._earlier, self._first = ledger.all(), ledger.studies.plan(study.name)
            ledger.close()
        study = self.study = as_first_planned(study, self._first)
        self.records = {record.trial_id: record for record in self._earlier}
        self.noise: tuple[NoiseFloor, ...] = noise_floors(self._earlier, study.name)
        self.stages: tuple[PlannedStage, ...] = plan_stages(
            study, self._fingerprint, self.records, self.noise, self._first, storage
        )
        self.work: tuple[StageWork, ...] = work_of(study, self.stages, self.records)
        found = variation(self._earlier, study.name, sd_mm)
        self.variation: Variation = at_least(found, noise_of(primary_noise(self.noise), ""))
        self.measured: Measured | None = None
        self.effect_mm: float | None = None
        self.designs = Designs()

    def measure(self, *, budget_s: float, on_progress: OnProgress) -> None:
        """Run the steps from which durations are estimated.

        Args:
            budget_s: Approximate seconds of all measurements together.
            on_progress: Called with (done, total).
        """
        configs = [trial.config for work in self.work for trial, epochs in work.left if epochs]
        if configs:
            own, data = self.data, self.study.data
            ready = own.labelled if own.labelled == own.pretrain else None
            first = parts_of(data)[0]
            like = first if isinstance(first, ProceduralData) else None
            self.measured = measure_steps(
                representatives(configs), like, ready, budget_s=budget_s, on_progress=on_progress
            )

    def recommend(self, effect_mm: float, *, on_progress: OnProgress) -> None:
        """Simulate designs of the stage of compositions that detect a main effect of this size.

        Args:
            effect_mm: The main effect in mm.
            on_progress: Called with (designs done, total).

        Raises:
            InputError: The study has no stage of compositions.
        """
        self.effect_mm = effect_mm
        self.designs = recommended(self.study, self.stages, effect_mm, self.variation, on_progress)

    @property
    def confirmations(self) -> tuple[ConfirmationShare, ...]:
        """Share of each confirmation of the study's epochs."""
        return confirmation_shares(self.study, self.stages)

    @property
    def paired_blocks(self) -> int | None:
        """Blocks that tell two cells apart that differ by `effect_mm`; None if it is not set."""
        effect, sd = self.effect_mm, self.variation.sd_mm
        return None if effect is None else blocks_for_paired(effect, sd)

    @property
    def data(self) -> DataFacts:
        """Facts about the study's own data."""
        return self.facts(self.study.data)

    def facts(self, data: DataConfig) -> DataFacts:
        """Return the facts about a dataset, collected once."""
        key = data.model_dump_json()
        if key not in self._looked:
            self._looked[key] = inspect_dataset(data, self.storage)
        return self._looked[key]

    @property
    def missing_data(self) -> list[str]:
        """Messages about missing data, one line per dataset."""
        return [facts.missing for facts in self._looked.values() if facts.missing]

    @property
    def can_run(self) -> bool:
        """Whether the study can be started: its data is available, and there is disk space."""
        lacking = [facts for facts in self._looked.values() if facts.images is None]
        return not lacking and self.disk.fits

    @cached_property
    def preregistration(self) -> Preregistration:
        """All values of the preregistration."""
        return preregistration(self.study, self.storage)

    @property
    def hash(self) -> str:
        """Hash of the preregistration."""
        return plan_hash(self.preregistration)

    @property
    def first_hash(self) -> str | None:
        """Hash of the plan of the first run of a study of this name; None before."""
        return str(self._first["hash"]) if self._first else None

    @property
    def deviations(self) -> list[str]:
        """Differences between this plan and the one of the study's first run."""
        first = self._first["registered"] if self._first else self.preregistration
        assert isinstance(first, Mapping)  # noqa: S101  as it was kept
        return deviations(first, self.preregistration)

    @cached_property
    def slots(self) -> Slots:
        """Trials that this machine would run at once."""
        cpus, gpus = available_cpus(), torch.cuda.device_count()
        slots = divided(
            cpus, gpus, ExecutionOptions(trials_per_gpu=self.memory.trials_per_gpu)
        ).slots
        return Slots(slots, gpus or cpus, "GPU" if gpus else "core")

    @cached_property
    def memory(self) -> Memory:
        """GPU memory of a step, and how many trials can share a GPU."""
        configs = [trial.config for stage in self.stages for trial in stage.trained]
        step, gpu = largest_step(ExecutionOptions(), configs), smallest_gpu()
        return Memory(step, gpu, fitting(step, gpu))

    @property
    def disk(self) -> Disk:
        """Peak disk space of the missing trials."""
        missing = [
            (trial, epochs, float(epochs >= trial.epochs) or epochs / trial.epochs)
            for work in self.work
            for trial, epochs in work.left
            if epochs
        ]
        hands = math.fsum(chance * self._hands(trial) for trial, _, chance in missing)
        hands += math.fsum(map(self._hands, self._references_left()))
        slots = self.slots.trials
        return disk_peak(missing, self._looked.values(), self.storage, slots=slots, hands=hands)

    @property
    def effects(self) -> list[Detectable]:
        """Detectable differences of all stages."""
        return detectable_effects(self.study, self.stages, self.variation)

    def confounding(self, stage: PlannedStage) -> list[str]:
        """Describe what a stage's skeleton confounds."""
        return confounding(self.study, stage)

    def views(self, work: StageWork) -> float:
        """Return the number of views that a stage still sends through encoders."""
        return math.fsum(
            epochs
            * trial_size(trial.config).views_per_epoch(trial.config, self.images(trial)["pretrain"])
            for trial, epochs in work.left
        )

    def hours(self, *works: StageWork) -> Hours | None:
        """Return the device-hours of stages; None if nothing was measured."""
        if self.measured is None:
            return None
        clock = Clock(self.measured, self.images)
        left = [(trial, n) for work in works for trial, n in work.left if n]
        return clock.hours(math.fsum(n * clock.epoch_s(trial) for trial, n in left))

    def images(self, trial: PlannedTrial) -> Mapping[str, int]:
        """Return the number of images per split of a trial's data, assumed if not known."""
        return self.facts(trial.data or self.study.data).images or _SUPPOSED

    def _hands(self, trial: PlannedTrial) -> int:
        """Return the number of hands whose predictions a trial keeps."""
        images = self.images(trial)
        return sum(images.get(name, 0) for name in SPLITS)

    def _references_left(self) -> list[PlannedTrial]:
        """Return the references without training that are not computed yet."""
        over = {record.trial_id for record in self._earlier if record.outcome == "completed"}
        untrained = {
            trial.trial_id: trial
            for stage in self.stages
            for trial in stage.trials
            if trial.kind != "trial" and trial.trial_id not in over
        }
        return list(untrained.values())

    def _fingerprint(self, data: DataConfig) -> str:
        facts = self.facts(data)
        return facts.fingerprint or f"not made: {facts.described}"
