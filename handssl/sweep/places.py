"""Where the data of a study's trials lie, prepared when they are first asked for."""

from __future__ import annotations

from pathlib import Path

from handssl.data.config import DataConfig
from handssl.data.preparation import prepare
from handssl.data.study_data import StudyData
from handssl.sweep.events import OnEvent, Preparing
from handssl.sweep.local_ray import available_cpus
from handssl.sweep.plan import PlannedTrial
from handssl.sweep.study import Study
from handssl.tracking.mlflow_inputs import source_tag
from handssl.tracking.provenance import provenance


class Places:
    """Opens datasets by what determines them, each once.

    Args:
        study: Says which data a trial reads that names none itself.
        storage: Root of all results; where data are made, and looked for.
        on_event: Told how far the preparation is.

    Attributes:
        plan: Hash of the study's plan, a tag of every trial; empty if there is none.
    """

    def __init__(self, study: Study, storage: Path, on_event: OnEvent) -> None:
        self._study, self._storage, self._on_event = study, storage, on_event
        self._opened: dict[str, StudyData] = {}
        self.plan = ""

    def open(self, data: DataConfig) -> StudyData:
        """Return the packed splits of a dataset, made where they are missing."""
        key = data.model_dump_json()
        if key not in self._opened:
            folder = prepare(data, self._storage, self._tell, workers=available_cpus())
            self._opened[key] = StudyData(folder)
        return self._opened[key]

    def fingerprint(self, data: DataConfig) -> str:
        """Return the fingerprint of a dataset."""
        return self.open(data).fingerprint

    def folder(self, trial: PlannedTrial) -> Path:
        """Return the folder that a trial reads."""
        return self.open(trial.data or self._study.data).folder

    def tags(self, trial: PlannedTrial) -> dict[str, str]:
        """Return what a tracker should say about the data of a trial."""
        planned = {"plan": self.plan} if self.plan else {}
        return _described(self.open(trial.data or self._study.data)) | provenance() | planned

    def _tell(self, phase: str, done: int, total: int) -> None:
        self._on_event(Preparing(phase, done, total))


def _described(splits: StudyData) -> dict[str, str]:
    kept = {"dataset", "fingerprint", "crop_px", "context", "splits", "split_rule", "box"}
    described = (
        store.manifest.model_dump(mode="json", include=kept)
        for store in (splits.labelled, splits.pretrain)
    )
    return splits.tags() | source_tag(*described)
