"""Curves of the primary measure, recorded in a file or synthetic with known effects."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handssl.errors import DataError
from handssl.ledger.references import REFERENCE_OBJECTIVES
from handssl.randomness import numpy_generator
from handssl.stats.skeleton import subsets
from handssl.transforms import composition_name

Composition = tuple[str, ...]
_COLUMNS = ("block", "cell", "composition", "objective", "epoch", "median_mm")


@dataclass(frozen=True)
class Curves:
    """The primary measure of compositions after every epoch.

    Attributes:
        epochs: Length of every curve in epochs.
        values: Curves by block and composition, one value in mm per epoch; one that diverged is
            shorter.
        test: Measure on `test` after the last epoch in mm, by block and composition.
    """

    epochs: int
    values: dict[int, dict[Composition, tuple[float, ...]]]
    test: dict[int, dict[Composition, float]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all transformations."""
        return tuple(sorted({name for block in self.values.values() for c in block for name in c}))

    def final(self, block: int) -> dict[Composition, float]:
        """Return the last value of every composition in mm; infinite for one that diverged."""
        return {
            composition: curve[-1] if len(curve) == self.epochs else math.inf
            for composition, curve in self.values[block].items()
        }


def read_curves(path: Path) -> Curves:
    """Read curves written by `benchmarks/record_curves.py`.

    If a composition was run under several objectives, as in Sec. 4.2, the one with the smallest
    mean over blocks counts; a study that decides between them may compose the other.

    Args:
        path: CSV with the columns block, cell, composition, objective, epoch, median_mm and, if
            wanted, test_median_mm.

    Raises:
        DataError: The file is missing, lacks a column, or contains a value that is not a number.
    """
    found: dict[tuple[int, str, Composition], dict[int, float]] = {}
    test: dict[tuple[int, str, Composition], float] = {}
    for number, row in enumerate(_rows(path), start=2):
        if row["objective"] in REFERENCE_OBJECTIVES:
            continue
        try:
            key = (int(row["block"]), row["cell"], _composition(row["composition"]))
            found.setdefault(key, {})[int(row["epoch"])] = float(row["median_mm"])
            if row.get("test_median_mm"):
                test[key] = float(row["test_median_mm"])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: expected numbers, {error}") from None
    return _chosen(path, found, test)


def synthetic_curves(
    names: Sequence[str],
    blocks: Iterable[int],
    epochs: int,
    *,
    noise_mm: float = 0.5,
    seed: int = 0,
) -> Curves:
    """Generate curves with main effects, pair effects, and composition-dependent speeds.

    y(c, e) = 80 + sum of effects of c + 12 exp(-v(c) e / E) + noise(c), where E is the last epoch
    and v between 2 and 6. Effects have a standard deviation of 1 mm, those of pairs 0.3 mm.

    Args:
        names: The transformations.
        blocks: Seeds of the blocks; only the noise differs between them.
        epochs: Length of every curve in epochs.
        noise_mm: Standard deviation of a trial's level in mm.
        seed: Seed of all random numbers.

    Example:
        >>> curves = synthetic_curves(["blur", "rotate"], [1], 9)
        >>> sorted(curves.values[1]), len(curves.values[1][()])
        ([(), ('blur',), ('blur', 'rotate'), ('rotate',)], 9)
    """
    draw = numpy_generator("synthetic", seed)
    ordered = sorted(names)
    main = dict(zip(ordered, draw.normal(0, 1.0, len(ordered)), strict=True))
    speed = dict(zip(ordered, draw.normal(0, 0.6, len(ordered)), strict=True))
    pairs = draw.normal(0, 0.3, (len(ordered), len(ordered)))
    time = np.arange(1, epochs + 1) / epochs
    values: dict[int, dict[Composition, tuple[float, ...]]] = {}
    for block in blocks:
        noise = numpy_generator("synthetic", seed, block)
        values[block] = {}
        for subset in subsets(ordered):
            at = [ordered.index(name) for name in subset]
            level = 80 + sum(main[name] for name in subset)
            level += float(sum(pairs[i, j] for i in at for j in at if i < j))
            level += float(noise.normal(0, noise_mm))
            rate = float(np.clip(4 + sum(speed[name] for name in subset), 2, 6))
            values[block][subset] = tuple((level + 12 * np.exp(-rate * time)).tolist())
    return Curves(epochs, values)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), tuple(reader.fieldnames or ())
    except OSError as error:
        raise DataError(f"{path}: expected a file of curves: {error.strerror}") from None
    missing = [name for name in _COLUMNS if name not in columns]
    if missing or not rows:
        raise DataError(
            f"{path}: expected rows with the columns {', '.join(_COLUMNS)}, "
            + (f"{', '.join(missing)} missing" if missing else "found no row")
        )
    return rows


def _composition(text: str) -> Composition:
    return () if text == "none" else tuple(sorted(text.split("+")))


def _chosen(
    path: Path,
    found: dict[tuple[int, str, Composition], dict[int, float]],
    test: dict[tuple[int, str, Composition], float],
) -> Curves:
    epochs = max((max(curve) for curve in found.values()), default=0)
    sums: dict[Composition, dict[str, list[float]]] = {}
    for (_, cell, composition), curve in found.items():
        last = curve.get(epochs, math.inf)
        sums.setdefault(composition, {}).setdefault(cell, []).append(last)
    best = {c: min(cells, key=lambda one: sum(cells[one])) for c, cells in sums.items()}
    curves = Curves(epochs, {}, {})
    for (block, cell, composition), curve in found.items():
        if cell == best[composition]:
            ordered = tuple(curve[epoch] for epoch in sorted(curve))
            curves.values.setdefault(block, {})[composition] = ordered
            if (block, cell, composition) in test:
                at = curves.test.setdefault(block, {})
                at[composition] = test[block, cell, composition]
    _require_grid(path, curves)
    return curves


def _require_grid(path: Path, curves: Curves) -> None:
    wanted = set(subsets(curves.names))
    for block, of_block in curves.values.items():
        if missing := wanted - set(of_block):
            some = ", ".join(composition_name(one) for one in sorted(missing)[:3])
            raise DataError(
                f"{path}: expected all {len(wanted)} compositions in block {block}, "
                f"{len(missing)} are missing, e.g. {some}"
            )
