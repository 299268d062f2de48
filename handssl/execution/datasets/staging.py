"""Location of a trial's data for all nodes: a shared folder, or stores to copy to each node."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from handssl.data.manifest import Manifest
from handssl.data.splits import StudyData, combine, combine_cross, combine_union
from handssl.errors import DataError
from handssl.execution.datasets.cluster_data import ClusterDataConfig
from handssl.execution.datasets.node_cache import NodeCache, Say
from handssl.execution.datasets.store_source import StoreSource
from handssl.runtime.file_locks import one_at_a_time


@dataclass(frozen=True)
class StagedDataset:
    """Location of a trial's data, valid on any node.

    Attributes:
        folder: Folder of the data as the driver sees it.
        stores: (name in the cache, place, fingerprint) of the labelled store, then of a separate
            pretraining store if there is one; empty if the folder itself is read.
        cache: Folder of each node's cache; may contain environment variables.
        cache_bytes: Limit of the cache in bytes; None: no limit.
        shares: Share of the samples that is drawn from each pretraining store of a union.
        epoch_images: Number of samples of an epoch of a union.
        is_cross: Whether the second store is that of the split test.
        fingerprint: Fingerprint of the data, which is part of the trial's id.
    """

    folder: Path
    stores: tuple[tuple[str, str, str], ...] = ()
    cache: str = ""
    cache_bytes: int | None = None
    fingerprint: str = ""
    shares: tuple[float, ...] = ()
    epoch_images: int = 0
    is_cross: bool = False

    def here(self, notify: Say) -> Path:
        """Return the folder on this node; copy missing stores first.

        Args:
            notify: Called with a message about what was copied, and how long it took.

        Raises:
            DataError: The data cannot be copied, or has changed since the study started.
        """
        folder = self._folder(notify)
        found = StudyData(folder).fingerprint if self.fingerprint else ""
        if found != self.fingerprint:
            raise DataError(
                f"{folder}: expected the data {self.fingerprint[:12]} that the study was started "
                f"with, found {found[:12]}: it was packed again meanwhile; run the study again "
                "to train on the current data"
            )
        return folder

    def _folder(self, notify: Say) -> Path:
        if not self.stores:
            return self.folder
        # Expanded on this node: $TMPDIR and the like may differ from node to node.
        folder = Path(os.path.expandvars(self.cache)).expanduser()
        cache = NodeCache(folder, self.cache_bytes)
        folders = [
            cache.ensure(name, StoreSource(place), fingerprint, notify)
            for name, place, fingerprint in self.stores
        ]
        if len(folders) == 1:
            return folders[0]
        name = f"{self.fingerprint}-{len(folders)}"
        with one_at_a_time(cache.folder / f"{name}.lock"):
            return self._combined(cache.folder / "combined" / name, folders)

    def _combined(self, place: Path, folders: Sequence[Path]) -> Path:
        labelled, *others = folders
        if self.is_cross:
            return combine_cross(place, labelled=labelled, evaluated=others[0])
        if not self.shares:
            return combine(place, labelled=labelled, pretrain=others[0])
        return combine_union(
            place,
            labelled=labelled,
            pretrain=others,
            shares=self.shares,
            epoch_images=self.epoch_images,
        )


def located(folder: Path, site: ClusterDataConfig | None) -> StagedDataset:
    """Return the location of a trial's data for the nodes of a cluster.

    Args:
        folder: Folder of the data as the driver sees it, see `StudyData`.
        site: Settings of the cluster; if None or without a cache, every node reads the folder.
    """
    data = StudyData(folder)
    if site is None or site.cache is None:
        return StagedDataset(folder.absolute(), fingerprint=data.fingerprint)
    is_one = not data.shares and data.sources[0] is data.labelled
    others = (data.evaluated,) if data.is_cross else () if is_one else data.sources
    stores = [data.labelled, *others]
    return StagedDataset(
        folder.absolute(),
        tuple(_store(one.manifest, one.folder, site) for one in stores),
        site.cache,
        site.cache_bytes,
        data.fingerprint,
        data.shares,
        data.epoch_images if data.shares else 0,
        data.is_cross,
    )


def _store(manifest: Manifest, folder: Path, site: ClusterDataConfig) -> tuple[str, str, str]:
    place = site.matching(manifest) or str(folder.resolve())
    return store_name(manifest.dataset, manifest.fingerprint), place, manifest.fingerprint


def store_name(dataset: str, fingerprint: str) -> str:
    """Return the name of a store in caches."""
    return f"{dataset}-{fingerprint[:16]}"


def folder_here(data: Path | StagedDataset, notify: Callable[[str], None]) -> Path:
    """Return the folder of a trial's data on this node."""
    return data.here(notify) if isinstance(data, StagedDataset) else data
