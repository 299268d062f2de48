"""Decisions of a report: which objective is better for a composition, as far as the seeds tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from handssl.report.ranking import CellRow, Ranking
from handssl.report.rows import Row
from handssl.report.sections import main_sections
from handssl.report.verdicts import errors_of, noise_between
from handssl.stats.decision import Decision, Pair, decide

# The first of a pair is compared with the second, as in stage `objectives`.
_ORDER = ("mixed", "equivariant", "relative", "contrastive")
_CONTROL = "augmentation.view_blur_px="


@dataclass(frozen=True)
class ObjectiveDecision:
    """Decision between two objectives of a composition.

    Attributes:
        stage: Name of the stage.
        name: The composition, with both objectives if it has more than two.
        decision: The decision.
    """

    stage: str
    name: str
    decision: Decision

    def __str__(self) -> str:
        """Return the decision as a sentence without full stop."""
        return f"{self.name}: {self.decision}"

    def values(self) -> dict[str, Any]:
        """Return the decision as JSON values."""
        known = {"stage": self.stage, "name": self.name, "sentence": f"{self}."}
        return known | asdict(self.decision)


def decisions(rows: Iterable[Row]) -> tuple[ObjectiveDecision, ...]:
    """Decide between the objectives of each composition that was run with several.

    Decisions of one stage hold together, with its margin of equivalence and the noise of rounding,
    as in the stage's own choice. Each pair of objectives is compared.

    Args:
        rows: Rows of one study.

    Example:
        >>> where = {"outcome": "completed", "epoch": 6, "epochs": 6}
        >>> rows = [
        ...     Row(f"{name} rotate", "rotate", name, 1, median_mm=mm, **where)
        ...     for name, mm in (("relative", 62.0), ("contrastive", 71.0))
        ... ]
        >>> [str(one) for one in decisions(rows)]
        ['rotate: undecided (relative -9.0 mm, one seed)']
    """
    found = []
    for section in main_sections(rows):
        pairs = dict(_pairs(section.ranking))
        margin_mm = section.first.margin_mm
        for name, decision in decide(pairs, margin_mm=margin_mm).items():
            found.append(ObjectiveDecision(section.stage, name, decision))
    return tuple(found)


def uncompared(rows: Iterable[Row]) -> list[str]:
    """Return the compositions with several objectives that share no finished block.

    Args:
        rows: Rows of one study.
    """
    known = (one for one in decisions(rows) if one.decision.seeds == 0)
    return list(dict.fromkeys(one.name for one in known))


def _pairs(ranking: Ranking) -> Iterable[tuple[str, Pair]]:
    cells = [c for c in (*ranking.finished, *ranking.early) if c.first.kind == "trial"]
    for name in dict.fromkeys(cell.name for cell in cells):
        arms = _arms([cell for cell in cells if cell.name == name])
        known = sorted(arms, key=lambda one: _ORDER.index(one) if one in _ORDER else -1)
        for first, second in combinations(known, 2):
            label = name if len(known) == 2 else f"{name}, {first} against {second}"
            yield label, _pair(first, second, arms[first], arms[second])


def _arms(cells: Sequence[CellRow]) -> dict[str, CellRow]:
    """Return the cell of each objective; none if one has several that are not mere controls."""
    plain = [cell for cell in cells if _CONTROL not in cell.first.settings] or cells
    arms = {cell.first.objective: cell for cell in plain}
    return arms if len(arms) == len(plain) else {}


def _pair(first: str, second: str, cell: CellRow, other: CellRow) -> Pair:
    return Pair(first, second, errors_of(cell), errors_of(other), noise_between(cell, other))
