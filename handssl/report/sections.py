"""Sections of a report: the rows of one stage, one dataset and one length, ranked together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from handssl.ledger.references import SUPERVISED, reference_of
from handssl.report.ranking import Ranking, rank
from handssl.report.rows import Row

SEARCH = "hyperparameters"
CONFIRMATION = "confirmation"
# Their cells are points of a search, or the best cells of an earlier stage again.
_LATER = ("swapped", "cross_dataset", "supervised", "label_efficiency")
_NO_CHOICE_OF_CELLS = (SEARCH, CONFIRMATION, *_LATER)


class _Key(NamedTuple):
    stage: str
    kind: str
    data: str
    epochs: int
    planned: bool

    @property
    def compares(self) -> bool:
        """Whether cells of the current plan are compared on the study's own data."""
        return self.planned and not self.data and self.kind not in _NO_CHOICE_OF_CELLS


@dataclass(frozen=True)
class Section:
    """Rows that can be ranked in one list, including references.

    Attributes:
        title: Title; empty if it is the only section.
        stage: Name of the stage.
        stage_kind: Kind of the stage.
        rows: Rows in the order of the report.
        main: Whether headline, order and effects use it: the stage compares cells on the study's
            own data, and its trials have the most common length.
    """

    title: str
    stage: str
    stage_kind: str
    rows: tuple[Row, ...]
    main: bool

    @property
    def first(self) -> Row:
        """First row of the stage itself, for shared values: data, epochs, plan."""
        return next((row for row in self.rows if not _is_shared(row)), self.rows[0])

    @cached_property
    def ranking(self) -> Ranking:
        """The ranking of the cells."""
        return rank(self.rows)


def sections(rows: Iterable[Row]) -> tuple[Section, ...]:
    """Divide the rows of a report into those that can be ranked together.

    Stages are in the order of the report, within them the study's own data first, longer trials
    before shorter ones, and trials of earlier plans last.

    Args:
        rows: Rows of one study, stage by stage.

    Example:
        >>> row = Row("mixed rotate", "rotate", "mixed", 1, "completed", 6, 6, 70.0)
        >>> longer = Row("mixed rotate", "rotate", "mixed", 1, "completed", 12, 12, 68.0)
        >>> [section.title for section in sections([row, longer])]
        ['Cells, 12 epochs', 'Cells, 6 epochs']
    """
    everything = tuple(rows)
    shared = [row for row in everything if _is_shared(row)]
    unshared = [row for row in everything if not _is_shared(row)]
    keys = _ordered([_key(row) for row in unshared])
    if not keys:  # only references so far
        keys = [_key(row)._replace(epochs=0) for row in shared[:1]]
    return tuple(_section(key, keys, shared, unshared) for key in keys)


def _section(
    key: _Key, keys: Sequence[_Key], shared: Sequence[Row], unshared: Sequence[Row]
) -> Section:
    own = [row for row in unshared if _key(row) == key]
    blocks = sorted({row.block for row in own})
    return Section(
        title=_title(key, keys) if len(keys) > 1 else "",
        stage=key.stage,
        stage_kind=key.kind,
        rows=_once([*_references(shared, key, blocks), *_in_all_blocks(own, blocks)]),
        main=key.compares and key.epochs == _usual_epochs(unshared),
    )


def main_sections(rows: Iterable[Row]) -> tuple[Section, ...]:
    """Return the sections used by headline, order and effects."""
    return tuple(section for section in sections(rows) if section.main)


def _is_shared(row: Row) -> bool:
    """Whether it is a reference of the study, which is in whichever stage comes first."""
    known = row.label == SUPERVISED or reference_of(row.label) is not None
    return row.kind == "reference" and known and not row.data


def _key(row: Row) -> _Key:
    return _Key(row.stage, row.stage_kind, row.data, row.epochs, row.planned)


def _ordered(keys: Sequence[_Key]) -> list[_Key]:
    stages = list(dict.fromkeys(key.stage for key in keys))
    unique = dict.fromkeys(keys)
    return sorted(
        unique, key=lambda k: (not k.planned, stages.index(k.stage), bool(k.data), -k.epochs)
    )


def _usual_epochs(rows: Sequence[Row]) -> int:
    """Return the most common length of compared trials; among equals the greater."""
    counts = Counter(row.epochs for row in rows if row.kind == "trial" and _key(row).compares)
    return max(counts, key=lambda epochs: (counts[epochs], epochs), default=0)


def _references(shared: Sequence[Row], key: _Key, blocks: Sequence[int]) -> list[Row]:
    if key.data or key.kind == SEARCH:
        return []
    fit = (0, key.epochs) if key.epochs else {row.epochs for row in shared}
    may = [r for r in shared if r.epochs in fit and (r.planned or not key.planned)]
    found = [r for r in may if not _per_block(r) or _confirms(r) == (key.kind == CONFIRMATION)]
    return _in_all_blocks(found, blocks) if blocks else found


def _in_all_blocks(rows: Sequence[Row], blocks: Sequence[int]) -> list[Row]:
    """Return rows; references that are computed once for all blocks as a row of each block."""
    found: list[Row] = []
    shared: dict[str, dict[int, Row]] = {}
    for row in rows:
        if _per_block(row):
            found.append(row)
        else:
            shared.setdefault(row.label, {})[row.block] = row
    for own in shared.values():
        first = next(iter(own.values()))
        found += [own.get(block, replace(first, block=block)) for block in blocks]
    return found


def _per_block(row: Row) -> bool:
    # References of probes on other data are labelled `mean pose, A to B`.
    known = reference_of(row.label.partition(", ")[0])
    return known is None or known.per_block


def _confirms(row: Row) -> bool:
    """Whether it was measured on the seeds of a confirmation."""
    return row.stage_kind == CONFIRMATION


def _once(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Remove duplicates of references that are also among the cells of the stage."""
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
