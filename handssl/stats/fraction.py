"""Effects from a fraction of the compositions whose cells were all completed."""

from __future__ import annotations

from collections.abc import Sequence

from handssl.stats.contrasts import LEVEL, Effect, Values
from handssl.stats.difference import difference_effects
from handssl.stats.imputation import BlockSample
from handssl.stats.skeleton import subsets


def fraction_effects(
    blocks: Sequence[Values], *, pairs: bool = False, level: float = LEVEL
) -> dict[str, Effect]:
    """Return effects as contrasts of the fraction's cells, averaged over blocks.

    This is the difference estimator with the slope 0: nothing is known of the other compositions.
    The interval is for the effect of all compositions in these blocks, with the factor 1 - n / N
    for n of N cells; with two or more blocks there is also the one for seeds in general.

    Args:
        blocks: Values of each block's fraction in mm; NaN where missing.
        pairs: Whether to include interactions of two, as in `difference_effects`.
        level: Confidence level of the intervals.

    Returns:
        Effects by name.

    Raises:
        ValueError: A fraction has fewer than four cells.

    Example:
        >>> values = {(): 80.0, ("a", "b"): 75.0, ("a", "c"): 76.0, ("b", "c"): 81.0}
        >>> {name: effect.mm for name, effect in fraction_effects([values]).items()}
        {'a': -5.0, 'b': 0.0, 'c': 1.0}
    """
    names = {name for values in blocks for composition in values for name in composition}
    early = dict.fromkeys(subsets(names), (0.0,))
    samples = [BlockSample(early, values) for values in blocks]
    return difference_effects(samples, pairs=pairs, level=level, slope=0.0)
