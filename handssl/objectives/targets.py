"""What relative heads predict: differences of theta in units of their ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from handssl.augment import (
    REGRESSABLE,
    AugmentConfig,
    Interval,
    composition_name,
    regressed_intervals,
)
from handssl.config import nearest
from handssl.errors import InputError


def relative_target(
    transformation: str,
    theta_a: torch.Tensor,
    theta_b: torch.Tensor,
    *,
    ranges: Sequence[Interval] | None = None,
) -> torch.Tensor:
    """Return theta_b - theta_a, wrapped and divided by the range of one view.

    Differences of circular parameters (rotation, hue) are wrapped to half a turn either way before
    the division. Adding a constant to theta_b adds it to the target (Eq. 4).

    Args:
        transformation: One of translate, rotate, scale, color_jitter.
        theta_a: (B, k), parameters of the first view.
        theta_b: (B, k), parameters of the second view.
        ranges: One view's interval of each parameter; default: the documented defaults.

    Returns:
        (B, k), in [-1, 1] for parameters within their ranges.

    Raises:
        InputError: The transformation has no parameters to regress, or shapes do not fit.

    Example:
        >>> a, b = torch.tensor([[0.0]]), torch.tensor([[math.pi / 4]])
        >>> float(relative_target("rotate", a, b))
        0.5

    Reference:
        Eq. 2 and 4.
    """
    intervals = _intervals(transformation, ranges)
    expected = (len(theta_a), len(intervals))
    if theta_a.shape != expected or theta_b.shape != expected:
        raise InputError(
            f"relative_target: expected theta of shape (B, {len(intervals)}) for "
            f"{transformation}, got {tuple(theta_a.shape)} and {tuple(theta_b.shape)}"
        )
    period = theta_a.new_tensor(_PERIODS.get(transformation, (math.inf,) * len(intervals)))
    width = theta_a.new_tensor([interval.width for interval in intervals])
    return wrap(theta_b - theta_a, period) / width


def wrap(difference: torch.Tensor, period: torch.Tensor) -> torch.Tensor:
    """Bring differences into (-period / 2, period / 2]; an infinite period leaves them alone."""
    turns = torch.ceil(difference / period - 0.5)
    return torch.where(torch.isinf(period), difference, difference - turns * period.nan_to_num())


def regressed_ranges(
    composition: Sequence[str], augmentation: AugmentConfig
) -> dict[str, tuple[Interval, ...]]:
    """Return one view's intervals of every transformation of a composition that has parameters.

    Raises:
        InputError: None has.
    """
    names = [name for name in sorted(composition) if name in REGRESSABLE]
    if not names:
        raise InputError(
            f"expected at least one of {', '.join(REGRESSABLE)} to predict, the composition is "
            f"'{composition_name(composition)}'; add one or use the contrastive objective"
        )
    return {name: regressed_intervals(name, augmentation) for name in names}


_PERIODS = {
    "rotate": (2.0 * math.pi,),
    "color_jitter": (1.0, math.inf, math.inf, math.inf),
}


def _intervals(transformation: str, ranges: Sequence[Interval] | None) -> Sequence[Interval]:
    if transformation not in REGRESSABLE:
        raise InputError(
            f"relative_target: {transformation!r} has no parameters to regress"
            f"{nearest(transformation, REGRESSABLE)}"
        )
    return regressed_intervals(transformation) if ranges is None else ranges
