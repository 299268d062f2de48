"""Readers for benchmarks, in a separate module so that packing processes need no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from handssl.data.crops import CROP_PX
from handssl.data.readers.freihand import FreihandReader
from handssl.data.sample import Rows, Sample, Split


class Repeated:
    """A reader repeated several times: a measurement takes seconds, and rendering is slow."""

    name, split_rule = "repeated", "none"

    def __init__(self, reader: FreihandReader, times: int) -> None:
        self.reader, self.times, self.fingerprint = reader, times, reader.fingerprint
        self.splits: Mapping[Split, Rows] = {"pretrain": np.arange(len(self))}

    def __reduce__(self) -> tuple[Callable[..., Repeated], tuple[FreihandReader, int]]:
        # Small, like every reader: starting a process waits until it has received its data.
        return Repeated, (self.reader, self.times)

    def __len__(self) -> int:
        return self.times * len(self.reader)

    def __getitem__(self, index: int) -> Sample:
        return replace(self.reader[index % len(self.reader)], id=index)


class Noise:
    """Reader of crops that cost nothing to produce."""

    name, split_rule, fingerprint = "noise", "none", "0"

    def __init__(self, count: int) -> None:
        self.splits: Mapping[Split, Rows] = {"pretrain": np.arange(count)}
        rng = np.random.default_rng(0)
        self._image = rng.integers(0, 256, (CROP_PX, CROP_PX, 3), dtype=np.uint8)

    def __reduce__(self) -> tuple[Callable[..., Noise], tuple[int]]:
        return Noise, (len(self),)

    def __len__(self) -> int:
        return len(self.splits["pretrain"])

    def __getitem__(self, index: int) -> Sample:
        return Sample(self._image, index, index, "noise")
