"""Datasets and stores: readers return samples, packing turns them into memory-mapped crops.

Names are imported on first use, so processes that only render or decode need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handssl.data.catalog import open_dataset, open_reader
    from handssl.data.config import DataConfig, PackedData, ProceduralData, UnionData
    from handssl.data.packing import pack
    from handssl.data.sample import SPLITS, Dataset, Reader, Sample, Split
    from handssl.data.splits import StudyData
    from handssl.data.store import PackedSplit, PackedStore

_HOME = {
    "SPLITS": "sample",
    "DataConfig": "config",
    "Dataset": "sample",
    "PackedData": "config",
    "PackedSplit": "store",
    "PackedStore": "store",
    "ProceduralData": "config",
    "Reader": "sample",
    "Sample": "sample",
    "Split": "sample",
    "StudyData": "splits",
    "UnionData": "config",
    "open_dataset": "catalog",
    "open_reader": "catalog",
    "pack": "packing",
}

__all__ = [
    "SPLITS",
    "DataConfig",
    "Dataset",
    "PackedData",
    "PackedSplit",
    "PackedStore",
    "ProceduralData",
    "Reader",
    "Sample",
    "Split",
    "StudyData",
    "UnionData",
    "open_dataset",
    "open_reader",
    "pack",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'handssl.data' has no attribute {name!r}")
    return getattr(import_module(f"handssl.data.{_HOME[name]}"), name)
