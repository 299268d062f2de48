"""Analysis of variance by order: how much of the grid main effects, pairs, triples explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handssl.stats.contrasts import Values
from handssl.stats.factorial import as_matrix, columns_of_order, contrasts, effect_of
from handssl.stats.incomplete import fill


@dataclass(frozen=True)
class OrderShare:
    """Effects of so many transformations together.

    Attributes:
        order: Number of transformations: 1 are main effects, 2 pairs.
        effects: Number of such effects.
        share: Their share of the sum of squares between compositions, 0 to 1.
        f: Their mean square over that of composition x block, NaN with one block.
        p: P-value of none of them, NaN with one block.
    """

    order: int
    effects: int
    share: float
    f: float
    p: float


def anova_by_order(blocks: Sequence[Values]) -> tuple[OrderShare, ...]:
    """Return the orders of a grid, main effects first.

    In N = 2^k compositions and B blocks an effect of m mm has the sum of squares N B m^2 / 4, with
    one degree of freedom. Missing values are those of y = cell + block.

    Args:
        blocks: Values of each block in mm; absent or not finite where missing.

    Returns:
        Nothing if a composition has a value in no block, or the grid does not vary.

    Example:
        >>> values = {(): 80.0, ("a",): 76.0, ("b",): 82.0, ("a", "b"): 78.0}
        >>> [one.share for one in anova_by_order([values])]
        [1.0, 0.0]
    """
    names = sorted({name for values in blocks for composition in values for name in composition})
    k, grid = len(names), fill(as_matrix(blocks, names))
    squares = contrasts(grid.values.mean(axis=0)) ** 2 * grid.values.size / 4
    total, size = float(squares[1:].sum()), 2**k
    if grid.order < k or total == 0:
        return ()
    freedom = grid.freedom * (size - 1)
    middle = grid.values.mean(axis=0) + grid.values.mean(axis=1, keepdims=True)
    rest = float(np.sum((grid.values - middle + grid.values.mean()) ** 2))
    within = rest / freedom if freedom > 0 else math.nan
    found = []
    for order in range(1, k + 1):
        columns = columns_of_order(order, k)
        own = float(squares[columns].sum())
        f, p = _test(own / len(columns), within, len(columns), freedom)
        found.append(OrderShare(order, len(columns), own / total, f, p))
    return tuple(found)


def _test(own: float, within: float, count: int, freedom: float) -> tuple[float, float]:
    if not within > 0:
        return math.nan, math.nan
    from scipy.special import fdtrc  # takes a moment

    return own / within, float(fdtrc(count, freedom, own / within))


def all_contrasts(blocks: Sequence[Values]) -> dict[str, float]:
    """Return all 2^k - 1 effects of a grid in mm, by name; nothing if they are not determined.

    Args:
        blocks: Values of each block in mm; absent or not finite where missing.
    """
    names = sorted({name for values in blocks for composition in values for name in composition})
    grid = fill(as_matrix(blocks, names))
    if grid.order < len(names):
        return {}
    found = contrasts(grid.values.mean(axis=0)).tolist()
    return {effect_of(column, names): mm for column, mm in enumerate(found) if column}
