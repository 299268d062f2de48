"""Resolution of the datasets of a study's trials, prepared on first use."""

from __future__ import annotations

import os
from pathlib import Path

from handssl.data.config import DataConfig, PackedData, Pretraining, stores_of
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData
from handssl.execution.datasets.cluster_data import find_site
from handssl.execution.datasets.node_cache import NodeCache
from handssl.execution.datasets.staging import StagedDataset, located, store_name
from handssl.execution.datasets.store_source import StoreSource
from handssl.planning.resources import available_cpus
from handssl.pose.protocol_ids import primary_protocol
from handssl.runtime.provenance import provenance
from handssl.study.events import OnEvent, Preparing, StudyMessage
from handssl.study.identity import NUMERICS_VERSION
from handssl.study.study import Study
from handssl.study.trials import PlannedTrial
from handssl.tracking.mlflow_inputs import source_tag


class DatasetResolver:
    """Opens datasets by their configuration, each once.

    Args:
        study: The study; its data is the default of trials that name none.
        storage: Root of all results, in which data are searched and prepared.
        on_event: Called with the progress of the preparation.

    Attributes:
        plan: Hash of the study's plan, a tag of every trial; empty if there is none.
    """

    def __init__(self, study: Study, storage: Path, on_event: OnEvent) -> None:
        self._study, self._storage, self._on_event = study, storage, on_event
        self._opened: dict[str, StudyData] = {}
        self.site = find_site(storage)
        self.plan = ""

    def open(self, data: DataConfig) -> StudyData:
        """Return the packed splits of a dataset; prepare them if they are missing."""
        key = data.model_dump_json()
        if key not in self._opened:
            more = [folder for one in stores_of(data) for folder in self._copied(one)]
            folder = prepare(
                data, self._storage, self._on_progress, workers=available_cpus(), more=more
            )
            self._opened[key] = StudyData(folder)
        return self._opened[key]

    def _copied(self, one: PackedData | Pretraining) -> list[Path]:
        """Return the folder of a store in the cluster's `places.yaml`; a URL is copied here."""
        place = self.site.place_of(one.name, one.fingerprint) if self.site else None
        if place and "://" in place:
            return [self._from_url(place)]
        return [Path(place).expanduser()] if place else []

    def _from_url(self, url: str) -> Path:
        source = StoreSource(url)
        manifest = source.manifest()
        own = self.site.cache if self.site else None
        folder = Path(os.path.expandvars(own)) if own else self._storage / "stores"
        cache = NodeCache(folder.expanduser())
        name = store_name(manifest.dataset, manifest.fingerprint)
        return cache.ensure(name, source, manifest.fingerprint, self._notify)

    def _notify(self, text: str) -> None:
        self._on_event(StudyMessage(text))

    def fingerprint(self, data: DataConfig) -> str:
        """Return the fingerprint of a dataset."""
        return self.open(data).fingerprint

    def located(self, trial: PlannedTrial) -> StagedDataset:
        """Return the location of a trial's data for any node of the cluster."""
        return located(self.open(trial.data or self._study.data).folder, self.site)

    def tags(self, trial: PlannedTrial) -> dict[str, str]:
        """Return tracking tags about the data of a trial and the code it runs."""
        tags = {"numerics_version": str(NUMERICS_VERSION)} | provenance()
        tags |= {"plan": self.plan} if self.plan else {}
        return _described(self.open(trial.data or self._study.data)) | tags

    def _on_progress(self, phase: str, done: int, total: int) -> None:
        self._on_event(Preparing(phase, done, total))


def _described(splits: StudyData) -> dict[str, str]:
    kept = {"dataset", "fingerprint", "crop_px", "context", "crop", "splits", "split_rule", "box"}
    described = (
        store.manifest.model_dump(mode="json", include=kept)
        for store in (splits.labelled, *splits.sources)
    )
    protocol = {"protocol": primary_protocol(splits.labelled.manifest.boxes)}
    return splits.tags() | protocol | source_tag(*described)
