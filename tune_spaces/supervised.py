"""Stage of Sec. 4.5: comparison with fully supervised models."""

from __future__ import annotations

from typing import Any


def stage(*, after: str = "compositions", width: int | None = 64) -> dict[str, Any]:
    """Return the stage: the best cell and supervised ones, with and without augmentation.

    Args:
        after: The stage whose best cell it takes.
        width: Channels of the heatmap network, whose rows stand beside those of the study's own
            encoder, on maps of a quarter of the input's side; None: without it.

    Example:
        >>> stage()["heatmap"]
        {'width': 64, 'map_stride': 4}
    """
    geometric = ("rotate", "translate")
    heatmap = {} if width is None else {"heatmap": {"width": width, "map_stride": 4}}
    return {"kind": "supervised", "after": after, "compositions": [geometric], **heatmap}
