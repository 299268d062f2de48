"""Datasets and stores: readers give samples, packing turns them into memory-mapped crops."""

from handssl.data.opening import open_dataset
from handssl.data.sample import SPLITS, Dataset, Sample, Split
from handssl.data.store import PackedStore, pack
from handssl.data.study_data import StudyData

__all__ = [
    "SPLITS",
    "Dataset",
    "PackedStore",
    "Sample",
    "Split",
    "StudyData",
    "open_dataset",
    "pack",
]
