"""Draw theta once per sample and view, from counter-based streams.

The draw of a transformation depends only on (seed, epoch, view, transformation, sample id):
enabling or disabling another transformation, or moving the sample to another batch or rank, does
not change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from handssl.randomness import derive_key, uniform_sets
from handssl.transforms.config import (
    REGRESSABLE,
    AugmentConfig,
    regressed_intervals,
)
from handssl.transforms.device_constants import constant
from handssl.transforms.interval import Interval
from handssl.transforms.names import refuse_flips

Theta = Mapping[str, torch.Tensor]
# Number of the draw that a view uses: one for all transformations, or one for each.
Draw = int | Mapping[str, int]

UNIT = Interval(low=0.0, high=1.0)


def draw_theta(
    config: AugmentConfig,
    composition: Iterable[str],
    ids: torch.Tensor,
    *,
    seed: int,
    epoch: int,
    view: Draw,
) -> dict[str, torch.Tensor]:
    """Draw the parameters of one view for a batch.

    Args:
        config: Ranges and probabilities.
        composition: The enabled transformations.
        ids: int64 (B,), sample ids.
        seed: The trial's seed.
        epoch: Epoch, counted from 1.
        view: 0 or 1; further views of a step use further numbers. A mapping gives the number for
            each transformation; views with the same number share the transformation's draw.

    Returns:
        For each transformation float32 (B, 1 + k): column 0 is 1 where the transformation is
        applied and 0 where it is not, then its k parameters. Where it is not applied, regressable
        parameters are 0, the identity.

    Raises:
        InputError: The composition contains a flip.

    Example:
        >>> theta = draw_theta(
        ...     AugmentConfig(), ["rotate"], torch.tensor([5]), seed=1, epoch=1, view=0
        ... )
        >>> theta["rotate"].shape
        torch.Size([1, 2])
    """
    names = sorted(composition)
    refuse_flips(names)
    if not names:
        return {}
    intervals = [intervals_of(config, name) for name in names]
    keys = [derive_key("theta", seed, epoch, number_of(view, name), name) for name in names]
    # All at once: for a small batch the number of calls determines the cost.
    draws = uniform_sets(ids, 1 + max(map(len, intervals)), keys)
    regressable = config.regressable
    return {
        name: _within(own, _probability(config, name), drawn, keep=name not in regressable)
        for name, own, drawn in zip(names, intervals, draws.unbind(), strict=True)
    }


def number_of(view: Draw, transformation: str) -> int:
    """Return the draw number that a view uses for a transformation.

    Example:
        >>> number_of(1, "blur"), number_of({"blur": 2}, "blur")
        (1, 2)
    """
    return view[transformation] if isinstance(view, Mapping) else view


def resampling_key(seed: int, epoch: int, view: Draw) -> int:
    """Return the key of the second warp of a view with `resampling: double`."""
    number = view if isinstance(view, int) else "+".join(f"{k}:{view[k]}" for k in sorted(view))
    return derive_key("resampling", seed, epoch, number)


def intervals_of(config: AugmentConfig, transformation: str) -> tuple[Interval, ...]:
    """Return the interval of every parameter of a transformation, in theta's order."""
    if one := config.custom_called(transformation):
        return one.intervals
    if transformation in REGRESSABLE:
        return regressed_intervals(transformation, config)
    return {
        "cutout": (config.cutout.side_views, UNIT, UNIT, UNIT),
        "sobel": (),
        "color_drop": (),
        "noise": (config.noise.sigma,),
        "blur": (config.blur.sigma_views,),
    }[transformation]


def _probability(config: AugmentConfig, transformation: str) -> float:
    found: float = (
        config.custom_called(transformation) or getattr(config, transformation)
    ).probability
    return found


def _within(
    intervals: tuple[Interval, ...], probability: float, draws: torch.Tensor, *, keep: bool
) -> torch.Tensor:
    """Return theta from uniform numbers; without `keep`, parameters are 0 where not applied."""
    low = constant(tuple(interval.low for interval in intervals), draws)
    width = constant(tuple(interval.width for interval in intervals), draws)
    applied = (draws[:, :1] < probability).to(draws.dtype)
    parameters = low + width * draws[:, 1 : 1 + len(intervals)]
    return torch.cat((applied, parameters if keep else parameters * applied), dim=1)
