"""Biased effects of sweeps with early stopping, for comparison with the difference estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from handssl.stats.contrasts import Effect, Values, effect_names, signs
from handssl.stats.full_grid import full_effects


def last_value_effects(blocks: Sequence[Values], *, pairs: bool = False) -> dict[str, Effect]:
    """Return effects from last values, in which stopped trials count with their last epoch.

    Biased, because stopping depends on the quantity to be estimated; included for comparison.

    Args:
        blocks: The last value of every composition in mm, at any epoch.
        pairs: Whether to include interactions of two.
    """
    return full_effects(blocks, pairs=pairs)


def finisher_effects(blocks: Sequence[Values], names: Sequence[str]) -> dict[str, Effect]:
    """Return main effects by least squares on the trials that were completed.

    Biased, and often not determined at all; included for comparison.

    Args:
        blocks: Values of the completed compositions of each block, in mm.
        names: The transformations.

    Returns:
        Effects by name; NaN if the completed trials do not determine them.
    """
    rows, wanted = [], []
    for number, values in enumerate(blocks):
        compositions = sorted(values)
        main = [signs(compositions, name) / 2 for name in effect_names(names)]
        means = [np.full(len(compositions), float(i == number)) for i in range(len(blocks))]
        rows.append(np.stack([*means, *main], axis=1))
        wanted += [values[one] for one in compositions]
    design = np.concatenate(rows)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return {name: Effect(name, math.nan) for name in effect_names(names)}
    found = np.linalg.lstsq(design, np.array(wanted), rcond=None)[0][len(blocks) :]
    return {n: Effect(n, float(mm)) for n, mm in zip(effect_names(names), found, strict=True)}
