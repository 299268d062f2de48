"""Sec. 4.5: how does it compare with a fully supervised model?"""

from __future__ import annotations

from typing import Any


def stage(*, after: str = "compositions") -> dict[str, Any]:
    """Return the stage: the best cell beside supervised ones, with and without augmentation.

    Args:
        after: The stage whose best cell it takes.

    Example:
        >>> stage()["kind"]
        'supervised'
    """
    geometric = ("rotate", "translate")
    return {"kind": "supervised", "after": after, "compositions": [geometric]}
