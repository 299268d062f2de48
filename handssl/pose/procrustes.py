"""Similarity alignment of one hand to another."""

from __future__ import annotations

from typing import Any

from handssl.errors import InputError
from handssl.pose.arrays import Array, as_floats, as_kind, check_batches, namespace


def align_procrustes(
    predicted: Array,
    target: Array,
    *,
    allow_reflection: bool = False,
    valid: Array | None = None,
) -> Array:
    """Align each predicted hand to its target with the optimal similarity transform.

    Minimises sum_k |s R p_k + t - q_k|^2 over scale s >= 0, rotation R and translation t, for every
    hand separately, from the singular value decomposition of the 3 x 3 covariance.

    Args:
        predicted: (..., J, 3), any unit.
        target: (..., J, 3), any unit.
        allow_reflection: False: R is a rotation, so a mirrored hand has an error. True: R is any
            orthogonal matrix, as in the official FreiHAND evaluation; mirroring costs nothing.
        valid: bool (..., J), joints that determine the similarity; default: all.

    Returns:
        (..., J, 3), `predicted` after the similarity, including invalid joints, in the unit of
        `target`. A prediction whose joints coincide becomes the target's centre.

    Raises:
        InputError: The shapes differ, or a joint that counts is not finite.

    Reference: P. Schoenemann, "A generalized solution of the orthogonal Procrustes problem",
    Psychometrika 1966; S. Umeyama, "Least-squares estimation of transformation parameters between
    two point patterns", PAMI 1991 (the sign that excludes reflections).

    Example:
        >>> import numpy as np
        >>> hand = np.random.default_rng(0).normal(size=(21, 3))
        >>> turned = 3.0 * hand[:, [1, 2, 0]] + 5.0
        >>> bool(np.allclose(align_procrustes(turned, hand), hand))
        True
        >>> bool(np.allclose(align_procrustes(-hand, hand), hand))
        False
        >>> bool(np.allclose(align_procrustes(-hand, hand, allow_reflection=True), hand))
        True
    """
    points = as_floats("predicted", predicted, 3)
    goal = as_floats("target", target, *points.shape[-2:], like=points)
    check_batches(predicted=points.shape[:-2], target=goal.shape[:-2])
    counts = _as_mask(points, valid)
    p, p_centre = _centred(points, counts)
    q, q_centre = _centred(goal, counts)
    rotation, stretch = _rotation(p.swapaxes(-1, -2) @ q, allow_reflection)
    size = (p * p).sum((-2, -1))
    scale = stretch / namespace(p).where(size > 0, size, 1.0)
    aligned: Array = scale[..., None, None] * ((points - p_centre) @ rotation) + q_centre
    return aligned


def _as_mask(points: Any, valid: Any) -> Any:
    """Return which joints count as bool (..., J, 1)."""
    xp = namespace(points)
    mask = xp.ones_like(points[..., 0]) if valid is None else as_kind(valid, points)
    check_batches(predicted=points.shape[:-1], valid=mask.shape)
    return mask[..., None] > 0


def _centred(points: Any, counts: Any) -> tuple[Any, Any]:
    """Return points relative to their centre, 0 where they do not count, and the centre."""
    xp = namespace(points)
    # Selected, not multiplied: points that do not count may be NaN.
    total = (counts * xp.ones_like(points[..., :1])).sum(-2)[..., None, :]
    summed = xp.where(counts, points, 0.0).sum(-2)[..., None, :]
    centre = summed / xp.where(total > 0, total, 1.0)
    return xp.where(counts, points - centre, 0.0), centre


def _rotation(covariance: Any, allow_reflection: bool) -> tuple[Any, Any]:
    """Return the orthogonal R that maximises trace(R^T covariance), and that trace."""
    xp = namespace(covariance)
    if not bool(xp.isfinite(covariance).all()):
        raise InputError(
            "predicted, target: expected finite joints, got NaN or infinity; leave out hands "
            "without a root depth and mark such joints invalid"
        )
    u, sigma, vt = xp.linalg.svd(covariance)
    sign = xp.ones_like(sigma)
    if not allow_reflection:
        flipped = xp.linalg.det(u) * xp.linalg.det(vt) < 0
        sign[..., 2] = xp.where(flipped, -1.0, sign[..., 2])
    return (u * sign[..., None, :]) @ vt, (sigma * sign).sum(-1)
