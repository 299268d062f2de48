"""Summarise the result of a study in one or two sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from handssl.report.ranking import CellRow, Ranking
from handssl.report.rows import Row
from handssl.report.sections import main_sections


def headline(rows: Iterable[Row]) -> str:
    """Name the best cell, and the better objective of compositions with several.

    The best cell is that of the last stage that compares cells on the study's own data, by the
    stage's own selection rule.

    Args:
        rows: Rows of one study.

    Example:
        >>> headline([Row("relative rotate", "rotate", "relative", 1, "completed", 6, 6, 62.0)])
        'Best self-supervised: relative rotate, median 62.0 mm.'
    """
    rankings = [section.ranking for section in main_sections(rows)]
    done = [ranking for ranking in rankings if ranking.trials]
    if not done:
        return "No trial has finished yet."
    return " ".join([_best(done[-1]), *(said for ranking in done for said in _pairs(ranking))])


def _best(ranking: Ranking) -> str:
    best = ranking.trials[0]
    value = best.means["median_mm"]
    sentence = f"Best self-supervised: {best.first.label}, median {value:.1f} mm{_over(best)}"
    random = [cell for cell in ranking.finished if cell.first.label == "random encoder"]
    if not random:
        return sentence + "."
    base = random[0].means["median_mm"]
    share = 100 * (value - base) / base if base else 0.0
    side = "below" if value < base else "above"
    return f"{sentence}, {abs(share):.0f} % {side} the random encoder ({base:.1f} mm)."


def _over(cell: CellRow) -> str:
    if len(cell.blocks) < 2:
        return ""
    if cell.whole:
        return f" over {len(cell.blocks)} blocks"
    return (
        f" over {len(cell.blocks)} blocks (mean adjusted for blocks: completed in "
        f"{len(cell.done)} of them)"
    )


def _pairs(ranking: Ranking) -> list[str]:
    """Name the better objective for every composition with several."""
    cells = [c for c in (*ranking.finished, *ranking.early) if c.first.kind == "trial"]
    won: dict[str, list[str]] = {}
    for name in dict.fromkeys(cell.name for cell in cells):
        if winner := _winner([cell for cell in cells if cell.name == name]):
            won.setdefault(winner, []).append(name)
    if not won:
        return []
    parts = [f"{objective} for {', '.join(found)}" for objective, found in won.items()]
    return [f"The better objective: {'; '.join(parts)}."]


def uncompared(rows: Iterable[Row]) -> list[str]:
    """Return the compositions with several objectives that cannot be compared.

    Args:
        rows: Rows of one study.
    """
    names = []
    for section in main_sections(rows):
        ranking = section.ranking
        cells = [c for c in (*ranking.finished, *ranking.early) if c.first.kind == "trial"]
        for name in dict.fromkeys(cell.name for cell in cells):
            rivals = [cell for cell in cells if cell.name == name]
            if len({cell.first.objective for cell in rivals}) == len(rivals) > 1:
                names += [] if _winner(rivals) else [name]
    return list(dict.fromkeys(names))


def _winner(rivals: Sequence[CellRow]) -> str:
    """Return the objective with the smallest mean over the common blocks; ties by name.

    This is the rule of stage `objectives`: a diverged trial loses, incomplete blocks are left out.
    """
    arms = {cell.first.objective: _values(cell) for cell in rivals}
    if len(arms) < 2 or len(arms) < len(rivals):
        return ""
    blocks = set.intersection(*map(set, arms.values()))
    means = {name: fmean(arm[block] for block in blocks) for name, arm in arms.items() if blocks}
    known = any(map(math.isfinite, means.values()))
    return min(sorted(means), key=lambda name: means[name]) if known else ""


def _values(cell: CellRow) -> dict[int, float]:
    values = {row.block: row.median_mm for row in cell.done if row.median_mm is not None}
    return values | {row.block: math.inf for row in cell.rows if row.outcome == "diverged"}
