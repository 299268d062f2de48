"""The log of a study: events seen by its scheduler, in order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Kind = Literal["reported", "diverged", "failed", "retried", "stopped", "cancelled"]


class LogEntry(NamedTuple):
    """One entry; equal entries are kept once.

    Attributes:
        study: Name of the study.
        stage: Name of the stage.
        trial_id: Id of the trial.
        kind: Kind of event.
        epoch: Epoch after which it happened; for `failed` and `retried` the number of the attempt
            that failed or begins, the first being 0; for `diverged` and `cancelled` 0.
        value: The primary measure on `select` in mm, None if there is none.
    """

    study: str
    stage: str
    trial_id: str
    kind: Kind
    epoch: int
    value: float | None = None


StudyLog = tuple[LogEntry, ...]


Ask = Literal["pause", "resume", "cancel", "extend"]


@dataclass(frozen=True)
class Asked:
    """All requests to a study, combined.

    Attributes:
        paused: Whether the study must stop, and not continue until it is resumed.
        cancelled: Labels of cells to leave out, each with its block; None means every block.
        blocks: Added seeds.
        epochs: New number of epochs per trial; None if unchanged.
    """

    paused: bool = False
    cancelled: frozenset[tuple[str, int | None]] = frozenset()
    blocks: tuple[int, ...] = ()
    epochs: int | None = None

    def is_cancelled(self, cell: str, block: int) -> bool:
        """Return whether a trial is to be left out.

        Example:
            >>> asked = Asked(cancelled=frozenset({("contrastive blur", None)}))
            >>> asked.is_cancelled("contrastive blur", 3)
            True
        """
        return bool({(cell, block), (cell, None)} & self.cancelled)


def put_together(rows: Iterable[tuple[Ask, Mapping[str, Any]]]) -> Asked:
    """Combine requests, in the order in which they were made.

    Args:
        rows: Kind and details of each request.

    Example:
        >>> put_together([("pause", {}), ("extend", {"blocks": [4]}), ("resume", {})])
        Asked(paused=False, cancelled=frozenset(), blocks=(4,), epochs=None)
    """
    paused, cancelled, blocks, epochs = False, set[tuple[str, int | None]](), [], None
    for kind, detail in rows:
        if kind in ("pause", "resume"):
            paused = kind == "pause"
        elif kind == "cancel":
            cancelled.add((detail["cell"], detail.get("block")))
        else:
            blocks += [one for one in detail.get("blocks", ()) if one not in blocks]
            epochs = detail.get("epochs") or epochs
    return Asked(paused, frozenset(cancelled), tuple(blocks), epochs)
