"""Summarise the result of a study in a few sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from handssl.ledger.references import RANDOM_ENCODER
from handssl.report.decisions import ObjectiveDecision, decisions
from handssl.report.ranking import CellRow, Ranking
from handssl.report.rows import Row
from handssl.report.sections import CONFIRMATION, main_sections
from handssl.report.verdicts import comparisons, errors_of, noise_between
from handssl.stats.verdict import Verdict, judge

if TYPE_CHECKING:
    from handssl.stats.best_set import BestSet

_WITHOUT_RESULT = {"diverged", "failed", "cancelled"}
_BEGUN = {"running": "begun"}

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
    """Name the best cell, whether it beats what nothing has learned, and decide on objectives.

    The best cell is that of the last stage that compares cells on the study's own data, by the
    stage's own selection rule. A winner that was measured on fresh seeds comes first. What the
    seeds do not tell is undecided: with one seed everything.

    Args:
        rows: Rows of one study.
    """
    everything = tuple(rows)
    done = [s.ranking for s in main_sections(everything) if s.ranking.trials]
    if not done:
        return (_without_result(everything),)
    against = [(one.fact, one.verdict) for one in comparisons(everything)]
    said = [*_confirmed(everything), *_best(done[-1]), *against]
    return _sentences(said, decisions(everything))


def _without_result(rows: Sequence[Row]) -> str:
    """Say that no cell is ranked, and what has become of the trials that are there."""
    trials = [row for row in rows if row.kind == "trial"]
    if any(row.finished for row in trials):
        return "No stage that compares cells of the current plan has a result yet."
    counts = Counter(row.outcome for row in trials)
    said = ", ".join(f"{n} {_BEGUN.get(name, name)}" for name, n in counts.most_common())
    ended = bool(counts) and counts.keys() <= _WITHOUT_RESULT
    fact = "No trial has a result" if ended else "No trial has finished yet"
    return f"{fact}: {said}." if said else f"{fact}."


def _sentences(said: Sequence[Said], decided: Sequence[ObjectiveDecision]) -> tuple[str, ...]:
    seeds = [verdict.seeds for _, verdict in said if verdict]
    seeds += [one.decision.seeds for one in decided]
    if seeds and all(count == 1 for count in seeds):
        facts = [*(fact for fact, _ in said), *_lower(decided)]
        return (*(f"{fact}." for fact in facts), "All of this is undecided: one seed.")
    facts = [f"{fact}; {verdict}." if verdict else f"{fact}." for fact, verdict in said]
    return (*facts, *(f"{one}." for one in decided if one.decision.seeds))


def _lower(decided: Sequence[ObjectiveDecision]) -> list[str]:
    """Name the objectives with the lower error in one sentence, which decides nothing."""
    won: dict[str, list[str]] = {}
    for name, one in ((one.name, one.decision) for one in decided):
        if one.mm is not None:
            won.setdefault(one.first if one.mm < 0 else one.second, []).append(name)
    parts = [f"{objective} for {', '.join(names)}" for objective, names in won.items()]
    return [f"Lower error: {'; '.join(parts)}"] if parts else []


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
    return [*found, *((one, None) for one in _near(ranking))]


def _confirmed(rows: Sequence[Row]) -> list[Said]:
    """Return the error of the winner on fresh seeds; the winner is planned first."""
    own = [row for row in rows if row.stage_kind == CONFIRMATION and row.planned]
    cells: dict[str, list[Row]] = {}
    for row in own:
        if row.kind == "trial":
            cells.setdefault(row.label, []).append(row)
    errors = {label: errors_of(CellRow(tuple(found), ())) for label, found in cells.items()}
    if not errors or not next(iter(errors.values())):
        return []
    from handssl.study.stages.confirmation import confirmation

    noise = {label: found[0].noise_mm for label, found in cells.items()}
    return [(f"Error of the winner to report: {confirmation(errors, noise)}", None)]


def _near(ranking: Ranking) -> list[str]:
    """Name the cells that cannot be told from the best, and say which are not compared."""
    found = best_set_of(ranking)
    if found is None or found.compared < 3:
        return []
    left = sum(c.first.kind == "trial" for c in (*ranking.finished, *ranking.early))
    left -= found.compared
    out = f"; not compared: {left} that were stopped early, diverged or failed" if left else ""
    return [f"{found}{out}"]


def best_set_of(ranking: Ranking) -> BestSet | None:
    """Return the cells that cannot be told from the best one, by label; None with one block."""
    if len(ranking.blocks) < 2:
        return None
    from handssl.stats.best_set import best_set

    return best_set({cell.first.label: errors_of(cell) for cell in ranking.trials})


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


def best_set_values(rows: Iterable[Row]) -> dict[str, Any] | None:
    """Return the cells that cannot be told from the best one as JSON values.

    Args:
        rows: Rows of one study.
    """
    done = [s.ranking for s in main_sections(rows) if s.ranking.trials]
    found = best_set_of(done[-1]) if done else None
    return asdict(found) if found else None
