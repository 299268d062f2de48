"""The result of a study in a sentence or two."""

from __future__ import annotations

from collections.abc import Iterable

from handssl.report.rows import CellRow, Ranking, Row, rank


def headline(rows: Iterable[Row]) -> str:
    """Say which cell came first and which objective won where both were tried.

    Args:
        rows: Of one study.

    Example:
        >>> headline([Row("relative rotate", "rotate", "relative", 1, "completed", 6, 6, 62.0)])
        'Best self-supervised: relative rotate, median 62.0 mm.'
    """
    ranking = rank(rows)
    trials = [cell for cell in ranking.finished if cell.first.kind == "trial"]
    if not trials:
        return "No trial has finished yet."
    return " ".join([_best(trials[0], ranking), *_pairs(trials)])


def _best(best: CellRow, ranking: Ranking) -> str:
    value = best.mean("median_mm") or 0.0
    over = f" over {len(ranking.blocks)} blocks" if len(ranking.blocks) > 1 else ""
    sentence = f"Best self-supervised: {best.first.label}, median {value:.1f} mm{over}"
    random = [cell for cell in ranking.finished if cell.first.label == "random encoder"]
    if not random:
        return sentence + "."
    base = random[0].mean("median_mm") or 0.0
    share = 100 * (value - base) / base if base else 0.0
    side = "below" if value < base else "above"
    return f"{sentence}, {abs(share):.0f} % {side} the random encoder ({base:.1f} mm)."


def _pairs(trials: list[CellRow]) -> list[str]:
    """Name the objective that won for every composition tried with several; trials are ranked."""
    names = list(dict.fromkeys(cell.name for cell in trials))
    rivals = {name: [c.first.objective for c in trials if c.name == name] for name in names}
    won: dict[str, list[str]] = {}
    for name, objectives in rivals.items():
        if len(set(objectives)) > 1:
            won.setdefault(objectives[0], []).append(name)
    if not won:
        return []
    parts = [f"{objective} for {', '.join(found)}" for objective, found in won.items()]
    return [f"The better objective: {'; '.join(parts)}."]
