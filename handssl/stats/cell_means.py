"""Means of cells over blocks, adjusted for missing blocks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def adjusted_means(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Return the estimated mean of each cell over all blocks.

    Least squares of value = cell + block, blocks summing to 0: a cell that was completed only in an
    easy block has no advantage. Without missing values these are the plain means. Cells completed
    in fewer than half as many blocks as the most complete cell are left out.

    Args:
        values: Finite values in mm, by cell and block.

    Returns:
        Means in mm, by cell.

    Example:
        >>> means = adjusted_means({"a": {1: 80.0, 2: 90.0}, "b": {1: 78.0}})
        >>> {name: round(mm, 2) for name, mm in means.items()}
        {'a': 85.0, 'b': 83.0}
    """
    most = max(map(len, values.values()), default=0)
    able = {name: by_block for name, by_block in values.items() if 2 * len(by_block) >= most}
    cells, blocks = (
        sorted(able),
        sorted({block for by_block in able.values() for block in by_block}),
    )
    rows, wanted = [], []
    for name, by_block in able.items():
        for block, mm in by_block.items():
            row = np.zeros(len(cells) + len(blocks))
            row[cells.index(name)] = row[len(cells) + blocks.index(block)] = 1.0
            rows.append(row)
            wanted.append(mm)
    if not rows:
        return {}
    # Blocks sum to 0; a weight this large enforces it to the last digit.
    rows.append(np.concatenate([np.zeros(len(cells)), np.full(len(blocks), 1e3)]))
    found = np.linalg.lstsq(np.array(rows), np.array([*wanted, 0.0]), rcond=None)[0]
    # A picometre is a rounding error; ties must stay ties.
    return {
        cell: round(mm, 9) for cell, mm in zip(cells, found[: len(cells)].tolist(), strict=True)
    }
