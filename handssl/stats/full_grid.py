"""Effects of the whole grid of 2^k compositions, also where a few values are missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from handssl.stats.contrasts import LEVEL, Effect, Values
from handssl.stats.factorial import as_matrix, columns_of_order, contrasts, effect_of
from handssl.stats.families import Spread, for_seeds, moderate
from handssl.stats.incomplete import Filled, fill


def full_effects(
    blocks: Sequence[Values],
    *,
    pairs: bool = False,
    level: float = LEVEL,
    moderated: bool = True,
) -> dict[str, Effect]:
    """Return effects from complete runs of all compositions, or of nearly all.

    The mean over blocks of (2 / 2^k) sum of sign x value; missing values as in
    `handssl.stats.incomplete`. For these seeds the estimate is exact if nothing is missing. With
    two or more blocks there is also an interval for seeds in general, by Student's t from the
    variance of the effect over blocks, which is moderated within each family: that of main effects
    and that of pairs. P-values and simultaneous intervals come from each effect's own variance.

    Args:
        blocks: Values of each block in mm, up to 2^k; absent or not finite where missing.
        pairs: Whether to include interactions of two.
        level: Confidence level of the intervals.
        moderated: Whether the variances are moderated; otherwise each effect has its own.

    Returns:
        Effects by name.

    Raises:
        ValueError: The values do not determine the main effects.

    Example:
        >>> values = {(): 80.0, ("a",): 76.0, ("b",): 82.0, ("a", "b"): 78.0}
        >>> {name: effect.mm for name, effect in full_effects([values]).items()}
        {'a': -4.0, 'b': 2.0}
    """
    names = sorted({name for values in blocks for composition in values for name in composition})
    grid = fill(as_matrix(blocks, names))
    orders = range(1, min(2 if pairs else 1, grid.order) + 1)
    found = [_of_order(order, names, grid, level, moderated) for order in orders]
    return {effect.name: effect for family in found for effect in family}


def _of_order(
    order: int, names: Sequence[str], grid: Filled, level: float, moderated: bool
) -> list[Effect]:
    """Return the effects of so many transformations, a family."""
    columns = columns_of_order(order, len(names))
    each = contrasts(grid.values)[:, columns]
    low, high = (end[columns] for end in grid.bounds())
    here = [_half(v, grid.residual_freedom, level) for v in grid.variance[columns]]
    effects = [
        Effect(
            effect_of(column, names),
            float(mm),
            float(mm - half),
            float(mm + half),
            grid.residual_freedom,
            bounds=(float(least), float(most)),
        )
        for column, mm, half, least, most in zip(
            columns, each.mean(axis=0), here, low, high, strict=True
        )
    ]
    if grid.freedom <= 0:
        return effects
    squares = ((each - each.mean(axis=0)) ** 2).sum(axis=0) / grid.freedom
    more = grid.variance[columns]
    own = Spread(squares / len(each) + more, grid.freedom)
    if not moderated:
        return for_seeds(effects, own, level)
    drawn, freedom = moderate(squares, grid.freedom)
    return for_seeds(effects, own, level, Spread(drawn / len(each) + more, freedom))


def _half(variance: float, freedom: float, level: float) -> float:
    """Return half of the width of an interval by Student's t; 0 without variance."""
    if variance == 0:
        return 0.0
    from scipy.special import stdtrit  # takes a moment, and complete studies never need it

    return float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
