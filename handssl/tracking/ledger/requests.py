"""What people ask of a study while it runs, or before it runs again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Ask = Literal["pause", "resume", "cancel", "extend"]


@dataclass(frozen=True)
class Asked:
    """All that was asked of a study, put together.

    Attributes:
        paused: It is to stop, and not to go on before it is resumed.
        cancelled: Cells that are to be left out, with their block; None is every block.
        blocks: Seeds that were added.
        epochs: Of a trial, if they were changed.
    """

    paused: bool = False
    cancelled: frozenset[tuple[str, int | None]] = frozenset()
    blocks: tuple[int, ...] = ()
    epochs: int | None = None

    def is_cancelled(self, cell: str, block: int) -> bool:
        """Say whether a trial is to be left out.

        Example:
            >>> asked = Asked(cancelled=frozenset({("contrastive blur", None)}))
            >>> asked.is_cancelled("contrastive blur", 3)
            True
        """
        return bool({(cell, block), (cell, None)} & self.cancelled)


def put_together(rows: Iterable[tuple[Ask, Mapping[str, Any]]]) -> Asked:
    """Fold requests, in the order in which they came.

    Args:
        rows: What was asked, and its details.

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
