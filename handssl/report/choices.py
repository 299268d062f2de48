"""Describe the choices of stages in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handssl.sweep.stages import Selection


def choices(selection: Selection) -> tuple[str, ...]:
    """Return a sentence for each choice of a stage, with its numbers.

    Args:
        selection: Choices of the stage.

    Example:
        >>> from handssl.sweep.stages import Selection
        >>> reason = "rotate: relative; contrastive 83.50 mm and relative 71.90 mm over 1 block"
        >>> one = Selection(stage="objectives", objective_of={"rotate": "relative"},
        ...                 reasons=(reason,))
        >>> choices(one)[0]
        'objectives chose rotate: relative; contrastive 83.50 mm and relative 71.90 mm over 1 block'
    """
    chosen = selection.objective_of or selection.best or selection.settings
    verb = "chose" if chosen else "chose nothing:"
    return tuple(f"{selection.stage} {verb} {reason}" for reason in selection.reasons)
