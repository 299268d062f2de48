"""Evaluation protocols, each with the id that is logged with its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # importing names of protocols needs no torch
    from handssl.pose.statistics import Statistic

Alignment = Literal["none", "root", "procrustes", "mirroring", "image"]

PRIMARY_PROTOCOL = "root_gtroot_20"
"""Id of the protocol used for every selection, without the suffix of its conditions (see
`handssl.evaluation.config`); its median is the primary metric."""

ALIGNED_PROTOCOL = "pa_21"
"""Id of the protocol shown beside the primary one: after a similarity for every hand, so without
errors of orientation and size."""

SIDE_PX = 128
"""Image errors are reported for a crop box of this side, independent of the input's resolution."""

F_SCORES: dict[str, str] = {"F@5 mm": "n/a: needs a mesh", "F@15 mm": "n/a: needs a mesh"}
"""FreiHAND's F-scores compare surfaces of 778 vertices and are not defined for joints."""

_POOLED: tuple[Statistic, ...] = ("median", "mean")
_FREIHAND: tuple[Statistic, ...] = ("joint_mean", "joint_median", "auc_50mm")


@dataclass(frozen=True)
class Protocol:
    """Definition of an error measure.

    Attributes:
        id: Identifier, part of every metric's name.
        alignment: `none` (camera frame), `root` (both roots moved to the origin), `procrustes`
            (a similarity without reflection for every hand), `mirroring` (a similarity that may
            reflect), or `image` (2D).
        root_depth: `truth`, `recovered` from the predicted pose alone, or `unused` (2D).
        joints: Number of joints, 21 or 20 (without the root).
        unit: `mm`, or `px` of a crop box of side `SIDE_PX`.
        statistics: Reported statistics, names as in `handssl.pose.statistics`.
        scale: Bone whose true length makes a prediction metric: the `bone` wrist to middle_mcp, or
            the `phalanx` middle_mcp to middle_pip, which FreiHAND provides; the latter requires a
            recovered root depth. `mean`: a hand without a labelled bone, whose root is labelled,
            has the mean length of the others. `source`: every hand has the mean length of the
            bone in the data that a probe was fitted on, so nothing metric of the target is used.
        sides: Whether joints of left and right hands are averaged apart, as 2 x `joints` columns.
    """

    id: str
    alignment: Alignment
    root_depth: Literal["truth", "recovered", "unused"]
    joints: Literal[20, 21]
    unit: Literal["mm", "px"] = "mm"
    statistics: tuple[Statistic, ...] = _POOLED
    scale: Literal["bone", "phalanx", "mean", "source"] = "bone"
    sides: bool = False


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
"""Protocols evaluated in every epoch, by id."""


CROSS: dict[str, Protocol] = {
    protocol.id: protocol
    for protocol in (
        Protocol("root_gtroot_20_srcbone", "root", "truth", 20, scale="source"),
        Protocol("root_recovered_20_srcbone", "root", "recovered", 20, scale="source"),
    )
}
"""Further protocols of a probe that is fitted on one dataset and evaluated on another, by id: the
bone has the mean length of the first dataset, the camera is that of the second."""


def _freihand(name: str, alignment: Alignment) -> Protocol:
    return Protocol(name, alignment, "recovered", 21, statistics=_FREIHAND, scale="phalanx")


def _interhand(joints: Literal[20, 21]) -> Protocol:
    return Protocol(
        f"interhand_{joints}",
        "root",
        "truth",
        joints,
        statistics=("joint_mean",),
        scale="mean",
        sides=True,
    )


OFFICIAL: dict[str, Protocol] = {
    protocol.id: protocol
    for protocol in (
        _freihand("freihand_21", "none"),
        _freihand("freihand_pa_21", "mirroring"),
        _freihand("freihand_pa_rot_21", "procrustes"),
        _interhand(21),
        _interhand(20),
    )
}
"""Official protocols of the datasets, by id; evaluated at the end.

`freihand_21` and `freihand_pa_21` are the published measures of FreiHAND; its alignment does not
exclude reflections, `freihand_pa_rot_21` does.

`interhand_21` is the MPJPE that InterHand2.6M's code prints for single hands: the predicted pixels
and relative depths are placed at the true depth of the wrist, prediction and truth of each hand
are moved so that its wrist is the origin, a joint counts if it and the wrist of its hand are valid,
errors are averaged for each of 42 joints, 21 of right and 21 of left hands, and the result is the
mean of these 42. There a joint without any sample is an error; here it is left out, so that a set
of one side has 21. There depths are predicted in mm; here in bone lengths, hence `scale`. The
wrist's error is 0 by construction: if every joint has a label it is 20/21 of `interhand_20`, which
leaves both wrists out.

Reference: C. Zimmermann et al., ICCV 2019 (`eval.py`); G. Moon et al., "InterHand2.6M", ECCV 2020
(`dataset.py`).
"""
