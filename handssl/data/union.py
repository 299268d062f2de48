"""Pretraining images of several stores as one split, drawn with weights."""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handssl.data.store import PackedSplit
from handssl.randomness import numpy_generator, permutation

# Samples of different stores draw different transformations, even if their ids are equal; those of
# the first store keep the draws that they have without the others.
_STRIDE = 2**48


class UnionSplit(PackedSplit):
    """Concatenation of splits of several stores with crops of one size.

    Args:
        members: The splits, at least one.
        shares: Share of the samples drawn from each, which sum to 1.
    """

    def __init__(self, members: Sequence[PackedSplit], shares: Sequence[float]) -> None:
        first = members[0]
        self.store, self.name, self.manifest = first.store, first.name, first.manifest
        self.members, self.shares = tuple(members), tuple(shares)
        self.starts = np.cumsum([0, *(len(one) for one in members)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def slots(self) -> NDArray[np.int64]:
        """Position of each sample, int64 (N,)."""
        return np.arange(len(self))

    @cached_property
    def ids(self) -> torch.Tensor:
        """Sample ids, int64 (N,), different in every store."""
        return torch.cat([one.ids + number * _STRIDE for number, one in enumerate(self.members)])

    def buffer(self, count: int) -> torch.Tensor:
        """Return an output buffer, uint8 (count, S, S, 3), on the device of the crops."""
        return self.members[0].buffer(count)

    def crops(self, indices: NDArray[np.int64], out: torch.Tensor | None = None) -> torch.Tensor:
        """Return crops on the device where they are stored, as `PackedSplit.crops`."""
        room = (self.buffer(len(indices)) if out is None else out)[: len(indices)]
        of = self.member_of(indices)
        for number, one in enumerate(self.members):
            if len(rows := np.flatnonzero(of == number)):
                found = one.crops(indices[rows] - self.starts[number])
                room[torch.from_numpy(rows).to(room.device)] = found.permute(0, 2, 3, 1)
        return room.permute(0, 3, 1, 2)

    def on(self, device: torch.device | str, *, beside: Container[str] = ()) -> UnionSplit:
        """Return the same split with its crops on a device, as `PackedSplit.on`."""
        kept = [one.manifest.fingerprint for one in self.members]
        return UnionSplit([one.on(device, beside=kept) for one in self.members], self.shares)

    def label(self, name: str) -> NDArray[Any]:
        """Return one label array of all samples.

        Raises:
            DataError: One of the datasets does not have that label.
        """
        return np.concatenate([one.label(name) for one in self.members])

    def member_of(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the store of each position, int64 (B,)."""
        return np.searchsorted(self.starts, indices, side="right") - 1

    def order(self, length: int, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the positions of an epoch's samples, in order.

        Args:
            length: Number of samples.
            seed: The trial's seed.
            epoch: Epoch, counted from 1.

        Returns:
            int64 (length,), a pure function of the arguments and of sizes and shares.
        """
        draws = numpy_generator("source", seed, epoch).random(length)
        of = np.searchsorted(np.cumsum(self.shares)[:-1], draws, side="right")
        order = np.empty(length, dtype=np.int64)
        for number, one in enumerate(self.members):
            rows = np.flatnonzero(of == number)
            own = shuffled(len(one), len(rows), "order", seed, epoch, *([number] if number else []))
            order[rows] = self.starts[number] + own
        return order


def shuffled(count: int, length: int, *address: str | int) -> NDArray[np.int64]:
    """Return `length` of the numbers 0 to count - 1 in random order, all of them before any again.

    Args:
        count: Number of different values.
        length: Number of values returned.
        address: Address of the random draws.

    Example:
        >>> sorted(shuffled(3, 6, "order", 1).tolist())
        [0, 0, 1, 1, 2, 2]
    """
    passes = -(-length // count)
    orders = [permutation(count, *address, index) for index in range(passes)]
    return np.concatenate([np.empty(0, np.int64), *orders])[:length]
