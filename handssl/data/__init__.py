"""Datasets and stores: readers give samples, packing turns them into memory-mapped crops."""

from handssl.data.config import DataConfig, PackedData, ProceduralData
from handssl.data.opening import open_dataset, open_reader
from handssl.data.packing import pack
from handssl.data.sample import SPLITS, Dataset, Reader, Sample, Split
from handssl.data.store import PackedSplit, PackedStore
from handssl.data.study_data import StudyData

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
    "open_dataset",
    "open_reader",
    "pack",
]
