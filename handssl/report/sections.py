"""Sections: the rows of one stage, one dataset and one length, which alone can be ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from handssl.report.ranking import Ranking, rank
from handssl.report.rows import Row

SEARCH = "hyperparameters"
# Their cells are points of a search, or an earlier stage's best once more.
_NO_CHOICE_OF_CELLS = (SEARCH, "cross_dataset", "supervised")
# What every block has once, whichever stage comes first.
_REFERENCES = ("mean pose", "random encoder", "supervised")


class _Key(NamedTuple):
    stage: str
    kind: str
    data: str
    epochs: int
    planned: bool

    @property
    def compares(self) -> bool:
        """Whether cells are compared on the study's own data, as it is planned now."""
        return self.planned and not self.data and self.kind not in _NO_CHOICE_OF_CELLS


@dataclass(frozen=True)
class Section:
    """Rows that can be ranked in one list, references among them.

    Attributes:
        title: Empty where it is the only one.
        stage: Name of the stage.
        stage_kind: Of it.
        rows: In the order of the report.
        main: Whether headline, order and effects speak of it: the stage compares cells, on the
            study's own data, and its trials are as long as most are.
    """

    title: str
    stage: str
    stage_kind: str
    rows: tuple[Row, ...]
    main: bool

    @property
    def first(self) -> Row:
        """Any row that is the stage's own, for what they share: data, epochs, plan."""
        return next((row for row in self.rows if not _is_shared(row)), self.rows[0])

    @cached_property
    def ranking(self) -> Ranking:
        """The cells, ranked."""
        return rank(self.rows)


def sections(rows: Iterable[Row]) -> tuple[Section, ...]:
    """Divide the rows of a report into those that can be ranked together.

    Stages come in the order of the report, within them the study's own data first, longer trials
    before shorter ones, what an earlier plan asked for last.

    Args:
        rows: Of one study, stage after stage.

    Example:
        >>> row = Row("mixed rotate", "rotate", "mixed", 1, "completed", 6, 6, 70.0)
        >>> longer = Row("mixed rotate", "rotate", "mixed", 1, "completed", 12, 12, 68.0)
        >>> [section.title for section in sections([row, longer])]
        ['Cells, 12 epochs', 'Cells, 6 epochs']
    """
    everything = tuple(rows)
    shared = [row for row in everything if _is_shared(row)]
    own = [row for row in everything if not _is_shared(row)]
    keys = _ordered([_key(row) for row in own])
    if not keys:  # references alone, so far
        keys = [_key(row)._replace(epochs=0) for row in shared[:1]]
    usual = _usual_epochs(own)
    return tuple(
        Section(
            title=_title(key, keys) if len(keys) > 1 else "",
            stage=key.stage,
            stage_kind=key.kind,
            rows=_once([*_references(shared, key), *(row for row in own if _key(row) == key)]),
            main=key.compares and key.epochs == usual,
        )
        for key in keys
    )


def main_sections(rows: Iterable[Row]) -> tuple[Section, ...]:
    """Return the sections that headline, order and effects speak of."""
    return tuple(section for section in sections(rows) if section.main)


def _is_shared(row: Row) -> bool:
    return row.kind == "reference" and row.label in _REFERENCES and not row.data


def _key(row: Row) -> _Key:
    return _Key(row.stage, row.stage_kind, row.data, row.epochs, row.planned)


def _ordered(keys: Sequence[_Key]) -> list[_Key]:
    stages = list(dict.fromkeys(key.stage for key in keys))
    unique = dict.fromkeys(keys)
    return sorted(
        unique, key=lambda k: (not k.planned, stages.index(k.stage), bool(k.data), -k.epochs)
    )


def _usual_epochs(rows: Sequence[Row]) -> int:
    """Return the length most trials have that are compared; of two as frequent the greater."""
    counts = Counter(row.epochs for row in rows if row.kind == "trial" and _key(row).compares)
    return max(counts, key=lambda epochs: (counts[epochs], epochs), default=0)


def _references(shared: Sequence[Row], key: _Key) -> list[Row]:
    if key.data or key.kind == SEARCH:
        return []
    fit = (0, key.epochs) if key.epochs else {row.epochs for row in shared}
    return [r for r in shared if r.epochs in fit and (r.planned or not key.planned)]


def _once(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Leave out a reference that a stage has among its cells too."""
    seen, kept = set(), []
    for row in rows:
        place = (row.label, row.block) if row.kind == "reference" else None
        if place is None or place not in seen:
            kept.append(row)
        seen.add(place)
    return tuple(kept)


def _title(key: _Key, keys: Sequence[_Key]) -> str:
    parts = [f"Stage {key.stage}" if key.stage else "Cells"]
    if key.data:
        parts[0] += f" on {key.data}"
    if len({one.epochs for one in keys}) > 1:
        parts.append(f"{key.epochs} epochs")
    if key.kind == SEARCH:
        parts.append("points of the search")
    if not key.planned:
        parts.append("under an earlier plan")
    return ", ".join(parts)
