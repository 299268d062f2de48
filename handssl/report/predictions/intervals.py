"""Intervals of errors on `test` for other seeds and other hands, cached by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handssl.report.predictions.cells import PredictedCell, PredictedCells
from handssl.stats.bootstrap import Floats, Name, Uncertain, group_weights, resampled, uncertain

if TYPE_CHECKING:
    from handssl.execution.trained.predictions import KeptPredictions
    from handssl.pose.hand_errors import HandErrors

RESAMPLES, SEED = 2000, 0
_FEWEST_GROUPS = 5


@dataclass(frozen=True)
class CellInterval:
    """The error of a cell on `test`, and its difference to the best cell.

    Attributes:
        name: Label of the cell.
        objective: Its objective, or `reference`.
        error: Median error in mm.
        difference: Its error minus that of the best cell, over the seeds of both; None for the
            best one, and if they share no seed.
        unit: What was resampled besides seeds: `groups` or `hands`.
    """

    name: str
    objective: str
    error: Uncertain
    difference: Uncertain | None
    unit: str


def cell_intervals(
    found: PredictedCells, storage: Path, *, of: Name = "median", resamples: int = RESAMPLES
) -> tuple[CellInterval, ...]:
    """Return the intervals of the cells and the references, the best cell first.

    Hands are resampled by the group that no split divides (subject, recording or frame). With less
    than five groups single hands are resampled, and the intervals hold for hands of these groups.

    Args:
        found: The cells.
        storage: Folder of the results; resampled statistics are kept in `bootstrap/` there.
        of: Statistic of the errors.
        resamples: Number of resamples.
    """
    everything = [*found.cells, *found.references]
    if not everything:
        return ()
    sample = _Sample(storage, of, resamples)
    values = [sample.of_cell(cell) for cell in everything]
    best = values[0] if found.cells else {}
    return tuple(
        CellInterval(
            cell.name,
            cell.objective,
            sample.uncertain(list(own.values())),
            sample.difference(own, best) if number and best else None,
            sample.unit,
        )
        for number, (cell, own) in enumerate(zip(everything, values, strict=True))
    )


class _Sample:
    """The resamples that all cells share, so that differences are paired."""

    def __init__(self, storage: Path, of: Name, resamples: int) -> None:
        self._folder, self._of, self._resamples = storage / "bootstrap", of, resamples
        self._weights: dict[int, NDArray[np.uint16]] = {}
        self._groups, self.unit = 0, "groups"

    def of_cell(self, cell: PredictedCell) -> dict[int, Floats]:
        """Return the resampled statistics of a cell by seed."""
        found = [
            self._of_trial(kept, errors)
            for kept, errors in zip(cell.trials, cell.errors, strict=True)
        ]
        # What is the same for all seeds has one trial for all of them.
        shared = found * len(cell.blocks) if len(found) == 1 else found
        return dict(zip(cell.blocks, shared, strict=True))

    def uncertain(self, values: Sequence[Floats]) -> Uncertain:
        """Return a value with its intervals; equal values for all seeds are one."""
        distinct = values[:1] if all(one is values[0] for one in values) else values
        generator = np.random.default_rng(SEED)
        return uncertain(np.stack(distinct), generator, groups=self._groups)

    def difference(self, own: dict[int, Floats], other: dict[int, Floats]) -> Uncertain | None:
        """Return the paired difference over the seeds of both."""
        seeds = sorted(own.keys() & other.keys())
        return self.uncertain([own[seed] - other[seed] for seed in seeds]) if seeds else None

    def _of_trial(self, kept: KeptPredictions, errors: HandErrors) -> Floats:
        names, numbers = np.unique(errors.groups, return_inverse=True)
        hands = len(errors.ids)
        if len(names) < _FEWEST_GROUPS or len(names) == hands:
            names, numbers, self.unit = np.arange(hands), np.arange(hands), "hands"
        self._groups = len(names)
        path = self._folder / f"{self._key(kept, errors)}.npy"
        known = _read(path, self._resamples + 1)
        if known is not None:
            return known
        values = resampled(errors.errors, numbers, self._drawn(len(names)), self._of)
        _keep(path, values)
        return values

    def _drawn(self, groups: int) -> NDArray[np.uint16]:
        if groups not in self._weights:
            generator = np.random.default_rng(SEED)
            self._weights = {groups: group_weights(groups, self._resamples, generator)}
        return self._weights[groups]

    def _key(self, kept: KeptPredictions, errors: HandErrors) -> str:
        """Return a hash of everything that the resampled statistics depend on."""
        options = [kept.record.trial_id, repr(errors.protocol), self._of, self._resamples, SEED]
        digest = hashlib.blake2b(json.dumps(options).encode(), digest_size=16)
        for array in (errors.errors, errors.groups):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _read(path: Path, count: int) -> Floats | None:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = values.shape == (count,) and values.dtype == np.float64
    return values if fits else None


def _keep(path: Path, values: Floats) -> None:
    """Write a file atomically; in a storage that is read-only or full nothing is cached."""
    content, partial = BytesIO(), path.with_suffix(f".{os.getpid()}.partial")
    np.save(content, values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content.getvalue())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
