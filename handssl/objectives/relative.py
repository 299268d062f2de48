"""The relative objective: Eq. 2 for one transformation, Eq. 3 for several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from handssl.augment import REGRESSABLE, Interval, regressed_intervals
from handssl.config import nearest
from handssl.errors import InputError
from handssl.models import RelativeHead

MIN_LOG_SIGMA = -5.0


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
        transformation: One of translate, rotate, color_jitter.
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


class RelativeLoss(nn.Module):
    """Heads g_t and Eq. 2 for the regressable transformations of a composition.

    Args:
        dim: Size of the features of one view.
        hidden: Hidden units of each head.
        ranges: For each transformation, one view's intervals.
    """

    def __init__(self, dim: int, hidden: int, ranges: Mapping[str, Sequence[Interval]]) -> None:
        super().__init__()
        self.ranges = dict(ranges)
        self.heads = nn.ModuleDict(
            {name: RelativeHead(dim, hidden, len(intervals)) for name, intervals in ranges.items()}
        )

    def forward(
        self,
        h_a: torch.Tensor,
        h_b: torch.Tensor,
        theta_a: Mapping[str, torch.Tensor],
        theta_b: Mapping[str, torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """Return L_t of Eq. 2 for each transformation: mean L1 over both orders of the pair.

        Args:
            h_a: (B, dim), features of the first views.
            h_b: (B, dim), features of the second views.
            theta_a: For each transformation (B, k).
            theta_b: Likewise.
        """
        losses = {}
        for name, head in self.heads.items():
            target = relative_target(name, theta_a[name], theta_b[name], ranges=self.ranges[name])
            # Both orders in one pass, so that the head's BatchNorm sees them together.
            predicted = head(torch.cat((h_a, h_b)), torch.cat((h_b, h_a)))
            losses[name] = (predicted - torch.cat((target, -target))).abs().mean()
        return losses


class LearnedWeights(nn.Module):
    """Eq. 3: L = sum_k (L_k / sigma_k + log sigma_k) with trainable log sigma.

    log sigma starts at 0 and is kept at or above -5, so a loss near 0 cannot drive the weight to
    infinity. A negative total is normal.

    Args:
        names: The terms.

    Reference:
        Eq. 3; A. Kendall, Y. Gal, R. Cipolla, "Multi-task learning using uncertainty to weigh
        losses for scene geometry and semantics", CVPR 2018.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.log_sigma = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})

    def forward(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted total of scalar losses."""
        terms = []
        for name, loss in losses.items():
            bounded = self.log_sigma[name].clamp(min=MIN_LOG_SIGMA)
            terms.append(loss * torch.exp(-bounded) + bounded)
        return torch.stack(terms).sum()

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Return sigma of every term, detached."""
        return {
            name: value.detach().clamp(min=MIN_LOG_SIGMA).exp()
            for name, value in self.log_sigma.items()
        }


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
