"""Verdicts on paired differences over seeds: better, not better, or undecided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from handssl.stats.contrasts import LEVEL
from handssl.stats.paired import Errors, paired_difference
from handssl.stats.spread import undecided_below

Word = Literal["better", "not better", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """Whether the error of one cell is below that of another.

    Attributes:
        word: `better` if the interval of the mean difference is below 0, `not better` if it is
            above 0, else `undecided`.
        mm: Mean difference in mm, below 0 if the first is better; infinite if it diverged, NaN if
            no seed has both.
        low: Lower end of its interval in mm, NaN without one.
        high: Upper end of its interval in mm, NaN without one.
        seeds: Number of seeds that have both.
        diverged: Number of those in which one of the two diverged.
        noise_mm: Difference that repeats of both reach by rounding alone, in mm; 0 if unknown.
        cells: Number of cells among which the first was chosen; the interval holds for all of them
            together.
    """

    word: Word
    mm: float
    low: float = math.nan
    high: float = math.nan
    seeds: int = 1
    diverged: int = 0
    noise_mm: float = 0.0
    cells: int = 1

    @property
    def reason(self) -> str:
        """The numbers behind the word, or why there are none."""
        if self.seeds == 0:
            return "no seed has both"
        if self.seeds == 1:
            return "one seed"
        if self.diverged:
            return f"diverged in {self.diverged} of {self.seeds} seeds"
        together = f" for {self.cells} cells together" if self.cells > 1 else ""
        interval = f"{100 * LEVEL:.0f} % interval{together} {self.low:+.1f} to {self.high:+.1f}"
        within = abs(self.mm) < self.noise_mm
        noise = f", within the noise of rounding ({self.noise_mm:.1f} mm)" if within else ""
        return f"difference {self.mm:+.1f} mm, {interval}, {self.seeds} seeds{noise}"

    def __str__(self) -> str:
        """Return the reason, with the word before it if nothing is decided."""
        return f"undecided: {self.reason}" if self.word == "undecided" else self.reason


def judge(values: Errors, others: Errors, *, noise_mm: float = 0.0, cells: int = 1) -> Verdict:
    """Compare two cells by the mean of their paired differences over seeds.

    The interval is Student's t for the mean of the differences, for seeds in general, so one seed
    decides nothing. Neither does a pair in which a trial diverged, which has no difference, nor a
    mean difference that repeats of the same trials reach by rounding alone.

    Args:
        values: Errors of a cell.
        others: Errors of the one that it is compared with.
        noise_mm: Difference that rounding alone makes, see `rounding_mm`.
        cells: Number of cells among which this one was chosen; intervals of all of them hold
            together at the level of 95 % (Bonferroni).

    Example:
        >>> str(judge({1: 60.0, 2: 61.0, 3: 60.5}, {1: 64.0, 2: 65.5, 3: 64.0}))
        'difference -4.0 mm, 95 % interval -5.2 to -2.8, 3 seeds'
        >>> str(judge({1: 60.0}, {1: 64.0}))
        'undecided: one seed'
    """
    found = paired_difference(values, others, level=1.0 - (1.0 - LEVEL) / cells)
    word: Word = "better" if found.high < 0 else "not better" if found.low > 0 else "undecided"
    if abs(found.mm) < noise_mm:
        word = "undecided"
    numbers = (found.mm, found.low, found.high, found.seeds, found.diverged)
    return Verdict(word, *numbers, noise_mm=noise_mm, cells=cells)


def judge_best(
    cells: Mapping[str, Errors], others: Errors, *, noise_mm: Mapping[str, float] | None = None
) -> tuple[str, Verdict]:
    """Return the cell that decides whether any cell is better than a reference, and its verdict.

    It is the first that is better, else the first of all. The intervals hold for all cells
    together, since the one that decides is chosen among them.

    Args:
        cells: Errors of at least one cell by name, the best cell first.
        others: Errors of the reference.
        noise_mm: Difference that rounding alone makes by cell, where it is known.

    Example:
        >>> cells = {"a": {1: 60.0, 2: 50.0}, "b": {1: 57.0, 2: 57.01}}
        >>> judge_best(cells, {1: 58.0, 2: 58.0})[0]
        'b'
    """
    noise = noise_mm or {}
    found = {
        name: judge(values, others, noise_mm=noise.get(name, 0.0), cells=len(cells))
        for name, values in cells.items()
    }
    better = [name for name, verdict in found.items() if verdict.word == "better"]
    name = next(iter([*better, *found]))
    return name, found[name]


def rounding_mm(values: Errors, others: Errors, sd_mm: float, other_sd_mm: float) -> float:
    """Return the mean difference of two cells over their common seeds that rounding alone makes.

    Args:
        values: Errors of a cell.
        others: Errors of the other.
        sd_mm: Standard deviation of the cell's repeats in mm; 0 if unknown.
        other_sd_mm: The same of the other cell.

    Returns:
        The difference in mm, see `handssl.stats.spread.undecided_below`; 0 if unknown.

    Example:
        >>> round(rounding_mm({1: 60.0, 2: 61.0}, {1: 62.0, 2: 62.0}, 1.0, 1.0), 2)
        1.96
    """
    blocks = len(values.keys() & others.keys())
    return undecided_below(sd_mm, other_sd_mm, blocks) if blocks else 0.0


def seeds_in_words(count: int) -> str:
    """Return a number of seeds in words.

    Example:
        >>> seeds_in_words(1), seeds_in_words(3)
        ('one seed', '3 seeds')
    """
    return "one seed" if count == 1 else f"{count} seeds"
