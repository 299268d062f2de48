"""Winners of simulated studies: halving by early values, the choice of a stage, and its regret."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from handssl.scheduling.halving import Rules
from handssl.stats.cell_means import adjusted_means

Array = npt.NDArray[np.float64]


def values_at_rungs(
    last: Array, correlations: Sequence[float], draw: np.random.Generator
) -> list[Array]:
    """Draw values of all cells at earlier rungs, each with its correlation with the last values.

    Going back from the last values, each rung depends on the next one alone:
    x_r = a x_(r+1) + sqrt(1 - a^2) e with a = rho_r / rho_(r+1), so corr(x_r, last) = rho_r.

    Args:
        last: Last values in mm (cells,).
        correlations: Correlations rho of the rungs, ascending, in (0, 1].
        draw: Source of the noise.

    Returns:
        Standardised values of each rung, in the order of the correlations.
    """
    later, known, found = (last - last.mean()) / last.std(), 1.0, list[Array]()
    for rho in reversed(correlations):
        ratio = min(1.0, rho / known)
        later = ratio * later + draw.normal(0, math.sqrt(1 - ratio**2), len(last))
        known = rho
        found.append(later)
    return found[::-1]


def completed(early: Sequence[Array], exempt: Iterable[int], rules: Rules) -> set[int]:
    """Return the cells of a block that halving trains to the end.

    Args:
        early: Values of all cells at each rung.
        exempt: Cells that are never stopped or ranked.
        rules: Rules of the halving.

    Example:
        >>> values = [np.array([5.0, 1.0, 2.0, 3.0])] * 2
        >>> sorted(completed(values, [0], Rules(9, 1, 3.0)))
        [0, 1]
    """
    always = {*exempt}
    alive = [cell for cell in range(len(early[0])) if cell not in always]
    for values in early:
        alive = sorted(alive, key=lambda cell: values[cell])[: rules.kept(len(alive))]
    return always | {*alive}


def regret(truth: Array, seen: Iterable[Mapping[int, float]]) -> float:
    """Return by how much the cell that a stage would choose is worse than the best one, in mm.

    Args:
        truth: True errors of all cells in mm, for seeds in general.
        seen: Last values of the completed cells in mm, in each block.

    Example:
        >>> regret(np.array([60.0, 61.0, 59.5]), [{0: 61.0, 1: 60.5}, {0: 62.0, 1: 60.0}])
        1.5
    """
    values: dict[str, dict[int, float]] = {}
    for block, own in enumerate(seen):
        for cell, mm in own.items():
            values.setdefault(f"{cell:06d}", {})[block] = mm
    means = adjusted_means(values)
    return float(truth[int(min(means, key=lambda cell: means[cell]))] - truth.min())
