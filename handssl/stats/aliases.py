"""Effects that skeletons do not separate, over all blocks of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from handssl.stats.contrasts import Composition, effect_names, signs


def aliases(
    skeletons: Sequence[Iterable[Composition]], names: Iterable[str]
) -> Mapping[str, tuple[str, ...]]:
    """Return, for main effects and pairs, the other ones that enter their contrast.

    The contrast of an effect over a skeleton contains another effect times the mean of the product
    of their signs. Averaged over blocks that is 0 where they are orthogonal in each skeleton, or
    where cosets with opposite signs cancel.

    Args:
        skeletons: Compositions of the skeleton of each block.
        names: The transformations.

    Example:
        >>> half = [(), ("a", "b"), ("a", "c"), ("b", "c")]
        >>> aliases([half], "abc")["a:b"]
        ('c',)
    """
    effects = effect_names(names, pairs=True)
    mean = np.zeros((len(effects), len(effects)))
    for one in skeletons:
        chosen = list(one)
        rows = np.array([signs(chosen, effect) for effect in effects])
        mean += rows @ rows.T / (len(chosen) * len(skeletons))
    return {
        effect: tuple(
            other
            for other, share in zip(effects, shares, strict=True)
            if other != effect and abs(share) > 1e-9
        )
        for effect, shares in zip(effects, mean, strict=True)
    }
