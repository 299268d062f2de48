"""Results of the named designs, with their Monte-Carlo intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handssl.bench.designs.named import NamedDesign
from handssl.bench.designs.promised import PromisedPower

HERE, GENERAL = "these seeds", "seeds in general"


@dataclass(frozen=True)
class Share:
    """A share of studies, or a mean over them, with its 95 % Monte-Carlo interval.

    Attributes:
        value: Mean over studies.
        half: Half of the width of the interval.
    """

    value: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Share:
        """Return the mean over studies; what a study does not have is NaN.

        A share of 0 or 1 has the width of one event, which the normal interval would not show.
        """
        own = np.asarray(values, dtype=float)
        own = own[np.isfinite(own)]
        if len(own) < 2:
            return cls(math.nan, math.nan)
        spread = float(own.std(ddof=1)) or 1 / math.sqrt(len(own))
        return cls(float(own.mean()), 1.96 * spread / math.sqrt(len(own)))


@dataclass(frozen=True)
class Coverage:
    """How often the intervals of main effects contain the truth.

    Attributes:
        estimator: That of reports, or a competitor.
        reading: `these seeds` or `seeds in general`.
        mean: Share of intervals.
        worst: The same of the effect that is covered least.
        width_mm: Median width in mm.
    """

    estimator: str
    reading: str
    mean: Share
    worst: float
    width_mm: float


@dataclass(frozen=True)
class Families:
    """Studies with an error in a family of effects that are all 0.

    Attributes:
        main: Main effects with Holm's p-values.
        pairs: Likewise pairs.
        main_plain: Main effects without adjustment.
        pairs_plain: Pairs without adjustment.
    """

    main: Share
    pairs: Share
    main_plain: Share
    pairs_plain: Share


@dataclass(frozen=True)
class Winners:
    """The winners of the studies.

    Attributes:
        near: Share of sets of winners with the best of the cells that are compared.
        is_best: Share of winners that are the best cell of all: the set of the winner alone.
        stopped: Share of studies in which the best cell of all is not compared.
        size: Median size of the set.
        compared: Median number of cells compared.
        regret_mm: Mean regret of the winner.
        confirmed_mm: Mean error on fresh seeds minus the true error.
        selected_mm: Mean error with which winners were selected minus the true error.
    """

    near: Share
    is_best: Share
    stopped: Share
    size: float
    compared: float
    regret_mm: Share
    confirmed_mm: Share
    selected_mm: Share


@dataclass(frozen=True)
class Row:
    """Results of one named design.

    Attributes:
        named: The design.
        studies: Number of studies, of which `lost` had no effects.
        lost: Number of studies whose values determined no effects.
        coverage: Coverage of both readings, the report's estimator first.
        families: Errors in families.
        winners: Winners.
        error_mm: Root mean square error of main effects in these seeds by estimator; empty where
            every cell is observed, or no competitor is known.
        power: Promised and simulated power.
    """

    named: NamedDesign
    studies: int
    lost: int
    coverage: tuple[Coverage, ...]
    families: Families
    winners: Winners
    error_mm: dict[str, float]
    power: PromisedPower
