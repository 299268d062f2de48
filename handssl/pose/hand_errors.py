"""Errors of every hand and joint under a protocol, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handssl.config import nearest
from handssl.errors import InputError
from handssl.pose.comparison import Comparison
from handssl.pose.labels import Floats, Mask, PoseLabels, check_predictions
from handssl.pose.protocols import CROSS, OFFICIAL, PROTOCOLS, Protocol
from handssl.pose.skeleton import JOINT_COUNT, JOINT_NAMES
from handssl.pose.statistics import AUC_THRESHOLDS_MM, STATISTICS, auc_50mm

OfErrors = Callable[[Floats, Mask], float]
"""Statistic: errors (N, J) and whether each counts, to a number."""


@dataclass(frozen=True, eq=False)
class HandErrors:
    """Errors of the predictions of one split under one protocol.

    Attributes:
        protocol: The protocol.
        errors: Errors in the protocol's unit, float64 (N, J) with J joints of the protocol; NaN
            where an error does not count.
        ids: Sample ids, int64 (N,).
        groups: Unit of each sample that no split divides (subject, recording, frame), int64 (N,).
    """

    protocol: Protocol
    errors: Floats
    ids: NDArray[np.int64]
    groups: NDArray[np.int64]

    @cached_property
    def counted(self) -> Mask:
        """Whether each error counts, bool (N, J)."""
        return np.isfinite(self.errors)

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the J joints."""
        return JOINT_NAMES[JOINT_COUNT - self.protocol.joints :]

    def statistic(self, of: str | OfErrors) -> float:
        """Return a statistic of all errors.

        Args:
            of: Name in `handssl.pose.statistics.STATISTICS`, or a function of errors and mask.

        Raises:
            InputError: There is no statistic of that name.
        """
        if callable(of):
            return of(self.errors, self.counted)
        if of not in STATISTICS:
            raise InputError(f"statistic: unknown name {of!r}{nearest(of, STATISTICS)}")
        return STATISTICS[of](self.errors, self.counted)

    def pck(self, thresholds: ArrayLike = AUC_THRESHOLDS_MM) -> Floats:
        """Return the share of correct keypoints at each threshold, the mean over joints.

        PCK(t) = mean over joints of the share of the joint's errors that are at most t.

        Args:
            thresholds: Thresholds (T,) in the protocol's unit; default: 100 from 0 to 50.

        Returns:
            Shares (T,) in [0, 1]. Their trapezoid mean over the default thresholds is `auc`.
        """
        limits = np.asarray(thresholds, dtype=np.float64)
        columns = [np.sort(c[np.isfinite(c)]) for c in self.errors.T]
        shares = [np.searchsorted(c, limits, side="right") / c.size for c in columns if c.size]
        return np.asarray(np.mean(shares, axis=0), dtype=np.float64)

    @property
    def auc(self) -> float:
        """Area under the PCK curve from 0 to 50, as a share of the range."""
        return auc_50mm(self.errors, self.counted)

    @property
    def per_joint(self) -> Floats:
        """Mean error of each joint (J,); NaN for a joint without an error that counts."""
        return _mean(self.errors, axis=0)

    @property
    def per_hand(self) -> Floats:
        """Mean error of each hand (N,); NaN for a hand without an error that counts."""
        return _mean(self.errors, axis=1)

    @cached_property
    def ranked(self) -> NDArray[np.int64]:
        """Positions of the hands that have an error, from the best to the worst; ties by id."""
        order = np.lexsort((self.ids, self.per_hand))
        return order[np.isfinite(self.per_hand[order])]


def hand_errors(
    uv: ArrayLike,
    z: ArrayLike,
    labels: PoseLabels,
    *,
    box_px: float,
    protocol: Protocol | str,
    ids: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> HandErrors:
    """Return the error of every hand and joint under a protocol, computed in float64.

    Args:
        uv: (N, 21, 2), predicted pixels, in the image of the labels.
        z: (N, 21), predicted relative depths in bone lengths.
        labels: Ground truth.
        box_px: Side of the crop box in the pixels of `uv`.
        protocol: A protocol, or the id of a known one.
        ids: Sample ids (N,); default: their positions.
        groups: Groups of the samples (N,); default: each is its own.

    Raises:
        InputError: The protocol is unknown, or an array has the wrong shape.
        DivergedError: A prediction is not finite.

    Example:
        >>> from handssl.pose import encode_2_5d
        >>> xyz = np.random.default_rng(0).uniform(-0.1, 0.1, (4, 21, 3)) + (0.0, 0.0, 0.6)
        >>> camera = np.array([[500.0, 0.0, 112.0], [0.0, 500.0, 112.0], [0.0, 0.0, 1.0]])
        >>> truth = encode_2_5d(xyz, camera)
        >>> labels = PoseLabels(truth.uv, xyz, camera)
        >>> found = hand_errors(truth.uv, truth.z, labels, box_px=64.0, protocol="root_gtroot_20")
        >>> found.errors.shape, found.joints[0], bool(found.statistic("mean") < 1e-6)
        ((4, 20), 'thumb_cmc', True)
    """
    rule = protocol if isinstance(protocol, Protocol) else _known(protocol)
    pixels, depths = check_predictions(uv, z)
    count = len(pixels)
    hands = Comparison(pixels, depths, labels.checked(count), box_px)
    errors, counted = hands.errors(rule)
    rows = np.arange(count) if rule.alignment == "image" else hands.rows(rule)
    whole = np.full((count, JOINT_COUNT), np.nan)
    whole[rows] = np.where(counted, errors, np.nan)
    own = np.arange(count)
    return HandErrors(
        rule,
        whole[:, JOINT_COUNT - rule.joints :],
        np.asarray(own if ids is None else ids, dtype=np.int64),
        np.asarray(own if groups is None else groups, dtype=np.int64),
    )


def _known(name: str) -> Protocol:
    known = PROTOCOLS | OFFICIAL | CROSS
    if name not in known:
        raise InputError(f"protocol: unknown name {name!r}{nearest(name, known)}")
    return known[name]


def _mean(errors: Floats, axis: int) -> Floats:
    counts = np.isfinite(errors).sum(axis=axis)
    sums = np.nansum(errors, axis=axis)
    return np.asarray(np.where(counts, sums / np.maximum(counts, 1), np.nan), dtype=np.float64)
