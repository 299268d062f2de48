"""Whether features became what was asked of them, and whether that goes with lower errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from handssl.report.diagnostics.cells import (
    MEASURES,
    DiagnosedTrial,
    Measure,
    asked,
    diagnosed_trials,
)
from handssl.stats.paired import PairedDifference, paired_difference
from handssl.stats.rank_correlation import LEAST_CELLS, RankCorrelation, rank_correlation

if TYPE_CHECKING:
    from handssl.report.study_report import StudyReport

BySeed = dict[int, float]
TITLES: dict[Measure, str] = {"equivariance_r2": "equivariance R2", "invariance": "invariance"}


@dataclass(frozen=True)
class AskedProperty:
    """A property of features about one transformation, where an objective asked for it.

    Attributes:
        transformation: Name of the transformation.
        measure: Measure of the property, at most 1.
        cells: Number of cells of which it was asked.
        asked: Its mean over these cells and seeds.
        others: Its mean over the other trained cells; NaN without any.
        random: Its mean over the random encoders; NaN without any.
        gain: Difference between the asked cells and the random encoder, paired over seeds.
    """

    transformation: str
    measure: Measure
    cells: int
    asked: float
    others: float
    random: float
    gain: PairedDifference

    @property
    def word(self) -> str:
        """Whether features became so: yes, no, or undecided."""
        if self.gain.low > 0.0:
            return "yes"
        return "no" if self.gain.high < 0.0 else "undecided"

    def __str__(self) -> str:
        """Return the answer as a sentence."""
        random = "no random encoder" if math.isnan(self.random) else f"{self.random:.2f} untrained"
        others = "" if math.isnan(self.others) else f", {self.others:.2f} in other cells"
        return (
            f"{TITLES[self.measure]} to {self.transformation} where asked for: {self.asked:.2f} "
            f"({random}{others}); {self.word} ({self.reason})."
        )

    @property
    def reason(self) -> str:
        """The difference to the random encoder with its interval."""
        if math.isnan(self.gain.mm):
            return "nothing to compare with"
        if math.isnan(self.gain.low):
            return f"{self.gain.mm:+.2f}, one seed"
        return f"{self.gain.mm:+.2f}, {self.gain.low:+.2f} to {self.gain.high:+.2f}"


@dataclass(frozen=True)
class ErrorCorrelation:
    """Rank correlation between a property of features and the error, over the trained cells.

    Attributes:
        transformation: Name of the transformation.
        measure: Measure of the property.
        found: The correlation.
    """

    transformation: str
    measure: Measure
    found: RankCorrelation

    @property
    def word(self) -> str:
        """What more of the property goes with: a lower error, a higher error, or undecided."""
        if not self.found.is_decided:
            return "undecided"
        return "lower error" if self.found.rho < 0.0 else "higher error"

    def __str__(self) -> str:
        """Return the correlation as a sentence."""
        return (
            f"{TITLES[self.measure]} to {self.transformation} and error: rank correlation "
            f"{self.found.rho:+.2f} over {self.found.cell_count} cells (other seeds "
            f"{interval(self.found.seeds)}; other cells {interval(self.found.cells)}); {self.word}."
        )


@dataclass(frozen=True)
class Diagnosis:
    """Answers from the diagnostics of a study.

    Attributes:
        properties: Properties that were asked for, by transformation.
        correlations: Correlations of properties with the error, by measure.
    """

    properties: tuple[AskedProperty, ...]
    correlations: tuple[ErrorCorrelation, ...]

    def lines(self) -> tuple[str, ...]:
        """Return all answers as sentences."""
        return (*map(str, self.properties), *map(str, self.correlations))

    def values(self) -> dict[str, Any]:
        """Return all answers as JSON values."""
        return {
            "properties": [
                {
                    **{k: _finite(getattr(one, k)) for k in ("asked", "others", "random")},
                    **{k: getattr(one, k) for k in ("transformation", "measure", "cells", "word")},
                    "gain": _finite(one.gain.mm),
                    "interval": [*map(_finite, (one.gain.low, one.gain.high))],
                }
                for one in self.properties
            ],
            "correlations": [
                {
                    **{k: getattr(one, k) for k in ("transformation", "measure", "word")},
                    "rho": one.found.rho,
                    "other_seeds": [*map(_finite, one.found.seeds)],
                    "other_cells": [*map(_finite, one.found.cells)],
                    "cells": one.found.cell_count,
                    "seeds": one.found.seed_count,
                }
                for one in self.correlations
            ],
        }


def diagnosis(found: StudyReport) -> Diagnosis | None:
    """Return the answers of a study's diagnostics; None if no trained cell has any.

    They are about the transformations that some cell is trained with.

    Args:
        found: Report of the study.
    """
    everything = diagnosed_trials(found)
    trained = [one for one in everything if not one.is_random]
    random = [one for one in everything if one.is_random]
    if not trained:
        return None
    used = {name for one in trained for name in one.row.composition.split("+")}
    names = sorted(used & {name for one in trained for _, name in one.values})
    pairs = [(measure, name) for measure in MEASURES for name in names]
    properties = (_property(measure, name, trained, random) for measure, name in pairs)
    correlations = (_correlation(measure, name, trained) for measure, name in pairs)
    return Diagnosis(tuple(filter(None, properties)), tuple(filter(None, correlations)))


def _property(
    measure: Measure,
    name: str,
    trained: Sequence[DiagnosedTrial],
    random: Sequence[DiagnosedTrial],
) -> AskedProperty | None:
    of = _valued((measure, name))
    ours = [one for one in trained if asked(one.row, name) == MEASURES[measure]]
    values = of(ours)
    if not values:
        return None
    others, base = of([one for one in trained if one not in ours]), of(random)
    cells = len({one.row.label for one in ours})
    return AskedProperty(
        name,
        measure,
        cells,
        asked=_mean(values),
        others=_mean(others),
        random=_mean(base),
        gain=paired_difference(values, base),
    )


def _mean(values: BySeed) -> float:
    return fmean(values.values()) if values else math.nan


def _valued(key: tuple[str, str]) -> Callable[[Iterable[DiagnosedTrial]], BySeed]:
    """Return a function that gives the mean of a diagnostic over cells, by seed."""

    def of(trials: Iterable[DiagnosedTrial]) -> BySeed:
        found: dict[int, list[float]] = {}
        for one in trials:
            if key in one.values:
                found.setdefault(one.row.block, []).append(one.values[key])
        return {seed: fmean(values) for seed, values in sorted(found.items())}

    return of


def _correlation(
    measure: Measure, name: str, trained: Sequence[DiagnosedTrial]
) -> ErrorCorrelation | None:
    points: dict[int, dict[str, tuple[float, float]]] = {}
    for one in trained:
        if (measure, name) in one.values and one.row.median_mm is not None:
            pair = (one.values[measure, name], one.row.median_mm)
            points.setdefault(one.row.block, {})[one.row.label] = pair
    if all(len(one) < LEAST_CELLS for one in points.values()):
        return None
    found = rank_correlation(points)
    return ErrorCorrelation(name, measure, found) if found else None


def interval(ends: tuple[float, float]) -> str:
    """Return an interval of a correlation as text.

    Example:
        >>> interval((-0.913, 0.25)), interval((math.nan, math.nan))
        ('-0.91 to +0.25', 'one seed')
    """
    return "one seed" if math.isnan(ends[0]) else f"{ends[0]:+.2f} to {ends[1]:+.2f}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
