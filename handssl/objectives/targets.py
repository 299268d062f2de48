"""Targets of relative heads: differences of theta in units of their ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from handssl.config import nearest
from handssl.errors import InputError
from handssl.transforms import (
    REGRESSABLE,
    AugmentConfig,
    Interval,
    LinearInterval,
    composition_name,
    may_regress,
    move_points,
    regressed_intervals,
)
from handssl.transforms.device_constants import as_floating, constant


def relative_target(
    transformation: str,
    theta_a: torch.Tensor,
    theta_b: torch.Tensor,
    *,
    ranges: Sequence[Interval] | None = None,
) -> torch.Tensor:
    """Return theta_b - theta_a, wrapped and divided by the range of one view.

    Differences of circular parameters (rotation, hue) are wrapped to at most half a turn before
    the division, unless their range is a `LinearInterval`. Adding a constant to theta_b adds it to
    the target (Eq. 4).

    Args:
        transformation: One of translate, rotate, scale, color_jitter, or with `ranges` a
            regressable custom one.
        theta_a: (B, k), parameters of the first view; integers are converted to floats.
        theta_b: (B, k), parameters of the second view.
        ranges: Interval of each of one view's parameters; default: the documented defaults.

    Returns:
        (B, k), in [-1, 1] for parameters within their ranges.

    Raises:
        InputError: The transformation has no parameters to regress, or shapes are wrong.

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
    theta_a, theta_b = as_floating(theta_a, theta_b)
    width = constant(tuple(interval.width for interval in intervals), theta_a)
    return wrap(theta_b - theta_a, _period(transformation, intervals, theta_a)) / width


def between_views_target(
    transformation: str,
    theta_a: torch.Tensor,
    theta_b: torch.Tensor,
    *,
    maps: tuple[torch.Tensor, torch.Tensor],
    ranges: Sequence[Interval],
) -> torch.Tensor:
    """Return the parameters of the map from the first view to the second, over their ranges.

    Two views determine the map between them, but not each view's own parameters: a relative target
    can be known without error only if it is a function of that map.

    translate: theta_b - theta_a in source axes depends on how far both views are turned. A view
    shows q = f R(angle) (p - t): the point at the centre of view a, p = t_a, lies in view b at
    f_b R_b (t_a - t_b). The target is minus that, the shift of the box in axes and units of the
    second view; without rotate and scale it is t_b - t_a.

    color_jitter: the value of a view is v exp(l) + o, so v_b = exp(l_b - l_a) v_a + c with
    c = o_b - exp(l_b - l_a) o_a. The last target is c in place of o_b - o_a: equal where both
    factors are. No definition of theta makes plain differences of both identifiable, as gains and
    offsets do not commute.

    All others are those of `relative_target`. The target of the swapped pair is not the negative.

    Args:
        transformation: As for `relative_target`.
        theta_a: (B, k), parameters of the first view.
        theta_b: (B, k), parameters of the second view.
        maps: Both views' `view_matrix`, (B, 2, 3) each; used for translate.
        ranges: Interval of each of one view's parameters.

    Returns:
        (B, k); beyond [-1, 1] where a view is enlarged or turned.

    Example:
        >>> turned = torch.tensor([[[0.0, 1.0, 0.1], [-1.0, 0.0, 0.0]]])  # by 90 degrees
        >>> still = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
        >>> a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.1, 0.0]])
        >>> interval = [Interval(low=-0.1, high=0.1)] * 2
        >>> between_views_target("translate", a, b, maps=(still, turned), ranges=interval)
        tensor([[0.0000, 0.5000]])
    """
    if transformation == "translate":
        centre = maps[0][:, None, :, 2]
        theta_a = move_points(centre, maps[1])[:, 0].to(theta_b.dtype)
        theta_b = torch.zeros_like(theta_b)
    elif transformation == "color_jitter":
        gain = torch.exp(theta_b[:, 2:3] - theta_a[:, 2:3])
        theta_a = torch.cat((theta_a[:, :3], gain * theta_a[:, 3:]), dim=1)
    return relative_target(transformation, theta_a, theta_b, ranges=ranges)


def published_target(
    transformation: str, theta_a: torch.Tensor, theta_b: torch.Tensor
) -> torch.Tensor:
    """Return the targets of the published code, the first view's parameters minus the second's.

    rotate: (a - b) mod 360 in degrees, so that -1 becomes 359; translate: a - b in pixels of a box
    of 128 px (there: of the source image); color_jitter: differences of hue in turns (there: of a
    factor), of the factors of saturation and value, and of the offset in levels of 255; scale: the
    ratio of the crop margins; custom: a - b. All units differ.

    Args:
        transformation: One of `REGRESSABLE`, or a custom one.
        theta_a: (B, k), parameters of the first view.
        theta_b: (B, k), parameters of the second view.

    Returns:
        (B, k).

    Example:
        >>> a, b = torch.tensor([[0.0]]), torch.tensor([[math.radians(1.0)]])
        >>> round(float(published_target("rotate", a, b)), 2)
        359.0
    """
    theta_a, theta_b = as_floating(theta_a, theta_b)
    if transformation == "rotate":
        return torch.remainder(torch.rad2deg(theta_a - theta_b), 360.0)
    if transformation == "scale":
        return torch.exp(theta_b - theta_a)
    if transformation == "translate":
        return 128.0 * (theta_a - theta_b)
    if transformation != "color_jitter":
        return theta_a - theta_b
    raw = [
        torch.stack((t[:, 0], t[:, 1].exp(), t[:, 2].exp(), 255.0 * t[:, 3]), dim=1)
        for t in (theta_a, theta_b)
    ]
    return raw[0] - raw[1]


def wrap(difference: torch.Tensor, period: torch.Tensor) -> torch.Tensor:
    """Wrap differences to (-period / 2, period / 2]; an infinite period does not change them."""
    difference, period = as_floating(difference, period)
    turns = torch.ceil(difference / period - 0.5)
    return torch.where(torch.isinf(period), difference, difference - turns * period.nan_to_num())


def regressed_ranges(
    composition: Sequence[str], augmentation: AugmentConfig
) -> dict[str, tuple[Interval, ...]]:
    """Return one view's intervals of every regressable transformation of a composition.

    Raises:
        InputError: No transformation of the composition is regressable.
    """
    regressable = augmentation.regressable
    names = [name for name in sorted(composition) if name in regressable]
    if not names:
        raise InputError(
            f"expected at least one of {', '.join(regressable)} to predict, the composition is "
            f"'{composition_name(composition)}'; add one or use the contrastive objective"
        )
    return {name: regressed_intervals(name, augmentation) for name in names}


_PERIODS = {
    "rotate": (2.0 * math.pi,),
    "color_jitter": (1.0, math.inf, math.inf, math.inf),
}


def _period(transformation: str, intervals: Sequence[Interval], like: torch.Tensor) -> torch.Tensor:
    """Return the period of each parameter; infinite if it is not circular."""
    periods = _PERIODS.get(transformation, (math.inf,) * len(intervals))
    linear = (isinstance(interval, LinearInterval) for interval in intervals)
    pairs = zip(periods, linear, strict=True)
    return constant(tuple(math.inf if straight else period for period, straight in pairs), like)


def _intervals(transformation: str, ranges: Sequence[Interval] | None) -> Sequence[Interval]:
    if ranges is not None and may_regress(transformation):
        return ranges
    if transformation not in REGRESSABLE:
        raise InputError(
            f"relative_target: {transformation!r} has no parameters to regress"
            f"{nearest(transformation, REGRESSABLE)}"
        )
    return regressed_intervals(transformation)
