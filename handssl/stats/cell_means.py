"""Means of cells over blocks, adjusted for missing blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import fmean

import numpy as np

CellValues = Mapping[str, Mapping[int, float]]


def adjusted_means(values: CellValues) -> dict[str, float]:
    """Return the estimated mean over blocks of each cell that can be compared with the others.

    Least squares of value = cell + block, blocks summing to 0: a cell that was completed only in an
    easy block has no advantage. Without missing values these are the plain means. Cells completed
    in fewer than half as many blocks as the most complete cell are left out, and so are all but the
    first of the sets of `connected_sets`: a difference between two sets may be one between blocks.

    Args:
        values: Finite values in mm, by cell and block.

    Returns:
        Means in mm, by cell.

    Example:
        >>> means = adjusted_means({"a": {1: 80.0, 2: 90.0}, "b": {1: 78.0}})
        >>> {name: round(mm, 2) for name, mm in means.items()}
        {'a': 85.0, 'b': 83.0}
    """
    sets = connected_sets(values)
    return _means({name: values[name] for name in sets[0]}) if sets else {}


def connected_sets(values: CellValues) -> tuple[tuple[str, ...], ...]:
    """Return the sets of cells that blocks connect, of the cells completed in enough blocks.

    Two cells are connected if they have a block in common, or if a chain of such pairs leads from
    one to the other. Only within a set does least squares separate cells from blocks.

    Args:
        values: Finite values in mm, by cell and block.

    Returns:
        Labels of each set in order; the set with the most values first, of equal ones the one with
        the lowest value.

    Example:
        >>> connected_sets({"a": {1: 80.0}, "b": {1: 81.0}, "c": {2: 70.0}})
        (('a', 'b'), ('c',))
    """
    most = max(map(len, values.values()), default=0)
    able = {name: one for name, one in values.items() if one and 2 * len(one) >= most}
    sets: list[tuple[set[str], set[int]]] = []
    for name, by_block in sorted(able.items()):
        touched = [one for one in sets if one[1] & by_block.keys()]
        cells = {name}.union(*(one[0] for one in touched))
        blocks = set(by_block).union(*(one[1] for one in touched))
        sets = [*(one for one in sets if one not in touched), (cells, blocks)]
    return tuple(sorted((tuple(sorted(cells)) for cells, _ in sets), key=lambda c: _rank(c, able)))


def _rank(cells: Collection[str], values: CellValues) -> tuple[int, float]:
    return -sum(len(values[name]) for name in cells), min(fmean(values[n].values()) for n in cells)


def _means(values: CellValues) -> dict[str, float]:
    """Return the means of connected cells.

    With the cells eliminated, block effects b solve (diag(n) - P' diag(1/r) P) b = P' (y - mean of
    the cell), where P is 1 at values, n counts those of a block and r those of a cell.
    """
    cells = sorted(values)
    blocks = sorted({block for by_block in values.values() for block in by_block})
    mm = np.array([[values[cell].get(block, np.nan) for block in blocks] for cell in cells])
    seen = np.isfinite(mm)
    counts = seen.sum(axis=1, keepdims=True)
    plain = np.nansum(mm, axis=1, keepdims=True) / counts
    normal = np.diag(seen.sum(axis=0)) - (seen / counts).T @ seen
    of_block = np.linalg.pinv(normal) @ np.nansum(mm - plain, axis=0)  # the least: they sum to 0
    found = plain - (seen @ of_block)[:, np.newaxis] / counts
    # A picometre is a rounding error; ties must stay ties.
    return {cell: round(mm, 9) for cell, mm in zip(cells, found[:, 0].tolist(), strict=True)}
