"""Irreducible error of relative targets: what two views leave unknown, however well they are seen.

Two views of an image determine the map between them, m: the difference of angles, the ratio of
scales, where the centre of one lies in the other, and how colours of one become those of the other.
They don't determine the views' own parameters. A target y that is not a function of m has the error

    E|y - E[y | m]| / E|y - median(y)|,

relative to the best constant prediction. 0: the target is known from m; 1: m tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from handssl.objectives.relative import RelativeLoss
from handssl.transforms import AugmentConfig, Interval, draw_theta, regressed_intervals, view_matrix
from handssl.transforms.sampling import Theta

_PAIRS, _CANDIDATES = 300, 4000


def irreducible_errors(
    heads: RelativeLoss, augmentation: AugmentConfig, composition: Sequence[str], *, seed: int = 0
) -> dict[str, tuple[float, ...]]:
    """Return the irreducible error of every target of a composition, by Monte Carlo.

    For each drawn pair, second views are drawn again from their ranges; with m each determines its
    first view, which counts if it lies within its range too. The mean of their targets, weighted by
    the density of that first view, is E[y | m]. Transformations count as applied to every view, and
    clipped pixels as visible.

    Args:
        heads: Heads with the options of the targets; not evaluated.
        augmentation: Ranges.
        composition: The enabled transformations.
        seed: Seed of the draws.

    Returns:
        For each transformation with a head the error of each parameter, 0 to about 1, within about
        0.01; custom transformations are left out.
    """
    names = [
        name for name in ("translate", "rotate", "scale", "color_jitter") if name in heads.heads
    ]
    moved = [name for name in ("translate", "rotate", "scale") if name in composition]
    groups = [moved, ["color_jitter"] if "color_jitter" in composition else []]
    found: dict[str, tuple[float, ...]] = {}
    for group in groups:
        predicted = [name for name in names if name in group]
        if predicted:
            found |= _of_group(heads, augmentation, group, predicted, seed)
    return found


def _of_group(
    heads: RelativeLoss, config: AugmentConfig, group: list[str], predicted: list[str], seed: int
) -> dict[str, tuple[float, ...]]:
    """Return the errors of transformations that form one map, independent of all others."""
    config = _always_applied(config, group)
    first, second = (_draw(config, group, _PAIRS, seed, view) for view in (0, 1))
    again = _draw(config, group, _CANDIDATES, seed, 2)
    maps = (view_matrix(first, _like(first)), view_matrix(second, _like(second)))
    truth = {name: _target(heads, name, first, second, maps) for name in predicted}
    expected: dict[str, list[torch.Tensor]] = {name: [] for name in predicted}
    for row in range(_PAIRS):
        a, b = (_row(view, row) for view in (first, second))
        implied, weight = _first_views(a, b, again, config)
        pair = (view_matrix(implied, _like(again)), view_matrix(again, _like(again)))
        for name in predicted:
            # Without a candidate (a corner of the ranges) only the pair itself is possible.
            mean = (weight[:, None] * _target(heads, name, implied, again, pair)).sum(0)
            total = weight.sum()
            expected[name].append(mean / total if total > 0 else truth[name][row])
    return {name: _share(truth[name], torch.stack(expected[name])) for name in predicted}


def _always_applied(config: AugmentConfig, names: Sequence[str]) -> AugmentConfig:
    """Return the configuration with transformations applied to every view."""
    always = {name: getattr(config, name).model_copy(update={"probability": 1.0}) for name in names}
    return config.model_copy(update=always)


def _first_views(
    first: Theta, second: Theta, again: Theta, config: AugmentConfig
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the first views that map to drawn second views as a given pair does, and weights.

    A weight is the density of the first view, given the map: 0 beyond its range, else the Jacobian
    of its parameters by those of the map, up to a constant.
    """
    implied: dict[str, torch.Tensor] = {}
    weight = torch.ones(len(next(iter(again.values()))), dtype=torch.float64)
    for name in again:
        implied[name] = again[name] - (second[name] - first[name])
        implied[name][:, 0] = 1.0
    if "translate" in again:
        maps = [view_matrix(view, _like(view)) for view in (first, second, again)]
        # The vector between both boxes in axes of the second view, turned back by another one.
        turn = maps[2][:, :, :2] @ torch.linalg.inv(maps[1][:, :, :2])
        shift = turn @ (maps[1][:, :, 2:] - maps[0][:, :, 2:])
        implied["translate"][:, 1:] = again["translate"][:, 1:] - shift[:, :, 0]
        weight = weight * torch.linalg.det(maps[2][:, :, :2])
    if "color_jitter" in again:
        gain = torch.exp(second["color_jitter"][:, 3] - first["color_jitter"][:, 3])
        offset = second["color_jitter"][:, 4] - gain * first["color_jitter"][:, 4]
        implied["color_jitter"][:, 4] = (again["color_jitter"][:, 4] - offset) / gain
    for name, theta in implied.items():
        weight = weight * _within(theta[:, 1:], regressed_intervals(name, config))
    return implied, weight


def _within(parameters: torch.Tensor, intervals: Sequence[Interval]) -> torch.Tensor:
    low = parameters.new_tensor([interval.low for interval in intervals])
    high = parameters.new_tensor([interval.high for interval in intervals])
    return ((parameters >= low) & (parameters <= high)).all(1).to(parameters.dtype)


def _target(
    heads: RelativeLoss,
    name: str,
    first: Theta,
    second: Theta,
    maps: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    return heads.target(name, first[name][:, 1:], second[name][:, 1:], maps)


def _draw(config: AugmentConfig, names: list[str], count: int, seed: int, view: int) -> Theta:
    drawn = draw_theta(config, names, torch.arange(count), seed=seed, epoch=1, view=view)
    return {name: theta.double() for name, theta in drawn.items()}


def _row(theta: Theta, row: int) -> Theta:
    return {name: parameters[row : row + 1] for name, parameters in theta.items()}


def _like(theta: Theta) -> torch.Tensor:
    return next(iter(theta.values()))


def _share(truth: torch.Tensor, expected: torch.Tensor) -> tuple[float, ...]:
    error = (truth - expected).abs().mean(0)
    best = (truth - truth.median(0).values).abs().mean(0)
    return tuple((error / best).tolist())
