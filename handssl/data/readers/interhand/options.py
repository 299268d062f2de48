"""Selection of InterHand2.6M images."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from handssl.config import Config
from handssl.data.arrays import Arrays
from handssl.data.sample import Rows

Cameras = Literal["all", "colour", "grey"]
Every = Annotated[int, Field(ge=1, le=10_000)]

_WRIST, _MIDDLE_MCP = 0, 9


class InterhandOptions(Config):
    """Options that select images, applied to every split.

    Attributes:
        hands: `single`, the images of one hand (`hand_type` right or left), as the paper's 688k.
        complete: Whether to use only hands with all 21 joints valid.
        cameras: `colour`, `grey` (cameras 410xxx, one channel stored as three) or `all`.
        frames_every: Keep every n-th of the remaining frames; for pilots.
        cameras_every: Keep every n-th of the remaining cameras; for pilots.
    """

    hands: Literal["single"] = "single"
    complete: bool = False
    cameras: Cameras = "all"
    frames_every: Every = 1
    cameras_every: Every = 1


def select_rows(index: Arrays, options: InterhandOptions) -> Rows:
    """Return the rows of an index that the options select, ascending.

    Wrist and middle MCP must be valid in every row: they define root and scale.

    Args:
        index: Index returned by `open_index`.
        options: Selection options.

    Returns:
        Row numbers, int64 (n,).
    """
    valid = np.asarray(index["valid"])
    keep = valid[:, _WRIST] & valid[:, _MIDDLE_MCP]
    if options.complete:
        keep &= valid.all(axis=1)
    if options.cameras != "all":
        grey = np.char.startswith(np.asarray(index["camera_name"]), b"410")
        keep &= grey[index["camera"]] == (options.cameras == "grey")
    rows = np.flatnonzero(keep)
    for name, every in (("frame", options.frames_every), ("camera", options.cameras_every)):
        rows = _thin(rows, np.asarray(index[name])[rows], every)
    return rows


def _thin(rows: Rows, codes: np.ndarray, every: int) -> Rows:
    """Keep the rows of every n-th occurring code; codes are ordered by capture and number."""
    if every == 1:
        return rows
    return np.asarray(rows[np.isin(codes, np.unique(codes)[::every])])
