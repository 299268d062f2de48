"""Stage of Sec. 4.5: comparison with fully supervised models."""

from __future__ import annotations

from typing import Any


def stage(*, after: str = "compositions") -> dict[str, Any]:
    """Return the stage: the best cell and supervised ones, with and without augmentation.

    Args:
        after: The stage whose best cell it takes.

    Example:
        >>> stage()["kind"]
        'supervised'
    """
    geometric = ("rotate", "translate")
    return {"kind": "supervised", "after": after, "compositions": [geometric]}
