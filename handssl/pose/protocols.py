"""The protocols an error can be measured under, each with the id that is logged with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PRIMARY = "root_gtroot_20"
"""Id of the protocol every selection uses; its median is the primary measure."""

SIDE_PX = 128
"""Errors in the image are told for a crop box of this side, whatever the input's resolution."""


@dataclass(frozen=True)
class Protocol:
    """What gives an error its meaning.

    The scale is always the true one, and statistics pool all (hand, joint) errors.

    Attributes:
        id: Part of every metric's name.
        alignment: `none` (camera frame), `root` (both roots moved to the origin), `procrustes`
            (a similarity without reflection for every hand), or `image` (2D).
        root_depth: `truth`, `recovered` from the predicted pose alone, or `unused` (2D).
        joints: Joints counted, 21 or 20 (without the root).
        unit: `mm`, or `px` of a crop box of side `SIDE_PX`.
    """

    id: str
    alignment: Literal["none", "root", "procrustes", "image"]
    root_depth: Literal["truth", "recovered", "unused"]
    joints: Literal[20, 21]
    unit: Literal["mm", "px"] = "mm"


PROTOCOLS: dict[str, Protocol] = {
    protocol.id: protocol
    for protocol in (
        Protocol("root_gtroot_20", "root", "truth", 20),
        Protocol("abs_gtroot_21", "none", "truth", 21),
        Protocol("abs_recovered_21", "none", "recovered", 21),
        Protocol("root_recovered_20", "root", "recovered", 20),
        Protocol("pa_21", "procrustes", "truth", 21),
        Protocol("px_21", "image", "unused", 21, "px"),
    )
}
"""Every protocol by its id."""
