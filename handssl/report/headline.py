"""Summarise the result of a study in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from handssl.ledger.references import RANDOM_ENCODER
from handssl.report.ranking import CellRow, Ranking
from handssl.report.rows import Row
from handssl.report.sections import main_sections
from handssl.report.verdicts import comparisons, errors_of, noise_between
from handssl.stats.verdict import Verdict, judge

Said = tuple[str, Verdict | None]
"""A fact without full stop, and the verdict on it; None if it claims nothing."""


def headline(rows: Iterable[Row]) -> str:
    """Return the sentences of `summary` as one text.

    Args:
        rows: Rows of one study.

    Example:
        >>> headline([Row("relative rotate", "rotate", "relative", 1, "completed", 6, 6, 62.0)])
        'Lowest self-supervised error: relative rotate, median 62.0 mm.'
    """
    return " ".join(summary(rows))


def summary(rows: Iterable[Row]) -> tuple[str, ...]:
    """Name the best cell, whether it beats what nothing has learned, and the better objectives.

    The best cell is that of the last stage that compares cells on the study's own data, by the
    stage's own selection rule. What the seeds do not tell is undecided: with one seed everything.

    Args:
        rows: Rows of one study.
    """
    everything = tuple(rows)
    done = [s.ranking for s in main_sections(everything) if s.ranking.trials]
    if not done:
        return ("No trial has finished yet.",)
    return _sentences(
        [
            *_best(done[-1]),
            *((one.fact, one.verdict) for one in comparisons(everything)),
            *(one for ranking in done for one in _pairs(ranking)),
        ]
    )


def _sentences(said: Sequence[Said]) -> tuple[str, ...]:
    verdicts = [verdict for _, verdict in said if verdict]
    if verdicts and all(one.seeds == 1 for one in verdicts):
        return (*(f"{fact}." for fact, _ in said), "All of this is undecided: one seed.")
    return tuple(f"{fact}; {verdict}." if verdict else f"{fact}." for fact, verdict in said)


def _best(ranking: Ranking) -> list[Said]:
    best, *others = ranking.trials
    value = best.means["median_mm"]
    said = f"Lowest self-supervised error: {best.first.label}, median {value:.1f} mm{_over(best)}"
    found: list[Said] = [(said, None)]
    if others:
        found = [(f"{said}, next {_named(others[0])}", _against(best, others[0]))]
    random = [cell for cell in ranking.finished if cell.name == RANDOM_ENCODER.label]
    if random and (base := random[0].means["median_mm"]):
        share = 100 * abs(value - base) / base
        side = "below" if value < base else "above"
        fact = f"It is {share:.0f} % {side} the {_named(random[0])}"
        found.append((fact, _against(best, random[0])))
    return found


def _named(cell: CellRow) -> str:
    return f"{cell.first.label} ({cell.means['median_mm']:.1f} mm)"


def _against(cell: CellRow, other: CellRow) -> Verdict:
    return judge(errors_of(cell), errors_of(other), noise_mm=noise_between(cell, other))


def _over(cell: CellRow) -> str:
    if len(cell.blocks) < 2:
        return ""
    if cell.whole:
        return f" over {len(cell.blocks)} blocks"
    return (
        f" over {len(cell.blocks)} blocks (mean adjusted for blocks: completed in "
        f"{len(cell.done)} of them)"
    )


def _pairs(ranking: Ranking) -> list[Said]:
    """Name the objective with the lower error for every composition with several."""
    found = []
    for name, rivals in _rivals(ranking):
        if ranked := _ranked(rivals):
            first, second = ranked[:2]
            found.append((first.first.objective, name, _against(first, second)))
    return [*_grouped(found)]


def _grouped(found: Sequence[tuple[str, str, Verdict]]) -> Iterable[Said]:
    """Return one sentence for those that one seed leaves undecided, else one for each."""
    if found and all(verdict.seeds == 1 for _, _, verdict in found):
        won: dict[str, list[str]] = {}
        for objective, name, _ in found:
            won.setdefault(objective, []).append(name)
        parts = [f"{objective} for {', '.join(names)}" for objective, names in won.items()]
        yield f"Lower error: {'; '.join(parts)}", found[0][2]
        return
    for objective, name, verdict in found:
        word = "has the lower error" if verdict.word == "undecided" else "is better"
        yield f"For {name}, {objective} {word}", verdict


def uncompared(rows: Iterable[Row]) -> list[str]:
    """Return the compositions with several objectives that cannot be compared.

    Args:
        rows: Rows of one study.
    """
    names = []
    for section in main_sections(rows):
        for name, rivals in _rivals(section.ranking):
            if len({cell.first.objective for cell in rivals}) == len(rivals) > 1:
                names += [] if _ranked(rivals) else [name]
    return list(dict.fromkeys(names))


def _rivals(ranking: Ranking) -> list[tuple[str, list[CellRow]]]:
    """Return the cells of each composition."""
    cells = [c for c in (*ranking.finished, *ranking.early) if c.first.kind == "trial"]
    names = dict.fromkeys(cell.name for cell in cells)
    return [(name, [cell for cell in cells if cell.name == name]) for name in names]


def _ranked(rivals: Sequence[CellRow]) -> list[CellRow]:
    """Return rivals by their mean over the common blocks, ties by name; none if not comparable.

    This is the rule of stage `objectives`: a diverged trial loses, incomplete blocks are left out.
    """
    arms = {cell.first.objective: cell for cell in rivals}
    if len(arms) < 2 or len(arms) < len(rivals):
        return []
    errors = {name: errors_of(cell) for name, cell in arms.items()}
    blocks = set.intersection(*map(set, errors.values()))
    means = {name: fmean(one[block] for block in blocks) for name, one in errors.items() if blocks}
    known = any(map(math.isfinite, means.values()))
    return [arms[name] for name in sorted(means, key=lambda n: (means[n], n))] if known else []
