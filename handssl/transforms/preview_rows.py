"""Rows of the sheet of transformations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from handssl.transforms.config import REGRESSABLE, AugmentConfig
from handssl.transforms.preview_labels import parameter_names, parameter_words, value_text
from handssl.transforms.sampling import Theta, draw_theta, intervals_of

STEPS, PAIRS = 5, 3
"""Number of views of a parameter from low to high, and of pairs of views in a row."""


@dataclass(frozen=True)
class Strip:
    """Row of views under one heading.

    Attributes:
        heading: One line of text.
        captions: One text for each view.
        rows: Index of the hand in each view, int64 (B,).
        ids: Sample ids that determine the noise, int64 (B,).
        theta: Parameters as from `draw_theta`, for B views.
    """

    heading: str
    captions: list[str]
    rows: torch.Tensor
    ids: torch.Tensor
    theta: Theta


def range_strips(name: str, config: AugmentConfig, hands: int, *, seed: int = 0) -> list[Strip]:
    """Return a strip for each parameter that steps through its range; at least one.

    For a regressable transformation the other parameters stay at the identity; for others they
    are drawn. A transformation without parameters is shown on five hands.

    Args:
        name: One of `TRANSFORMATIONS`.
        config: Ranges and probabilities.
        hands: Number of available hands.
        seed: Seed of the draws.
    """
    names = parameter_names(name, config)
    if not names:
        return [_hands(name, config, hands)]
    return [_steps(name, column, config, seed) for column in range(len(names))]


def _hands(name: str, config: AugmentConfig, hands: int) -> Strip:
    """Show a transformation without parameters: off once, then on for several hands."""
    ids = torch.arange(1 + STEPS)
    applied = (ids > 0).float()[:, None]
    rows = (ids - 1).clamp(min=0) % hands
    return Strip(_title(name, config), ["without", *[name] * STEPS], rows, ids, {name: applied})


def _steps(name: str, column: int, config: AugmentConfig, seed: int) -> Strip:
    """Show one parameter from low to high on one hand."""
    interval, parameter = intervals_of(config, name)[column], parameter_names(name, config)[column]
    ids = torch.arange(1 + STEPS)
    theta = draw_theta(config, [name], ids, seed=seed, epoch=1, view=0)[name]
    if name in REGRESSABLE:
        theta[:, 1:] = 0.0
    theta[1:, 1 + column] = torch.linspace(interval.low, interval.high, STEPS)
    theta[:, 0] = (ids > 0).float()
    captions = [value_text(parameter, value) for value in theta[1:, 1 + column].tolist()]
    heading = f"{_title(name, config)}: {parameter_words(parameter)}"
    rows = torch.zeros_like(ids)
    return Strip(heading, ["without", *captions], rows, ids, {name: theta})


def pair_strips(
    name: str,
    config: AugmentConfig,
    hands: int,
    target: Callable[[str, torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    seed: int = 0,
) -> list[Strip]:
    """Return pairs of views of one hand each, with their thetas and relative target.

    Args:
        name: One of `REGRESSABLE`.
        config: Ranges and probabilities.
        hands: Number of available hands.
        target: Function of (transformation, theta_a, theta_b) that returns the relative target.
        seed: Seed of the draws.
    """
    ids = torch.arange(PAIRS)
    a, b = (draw_theta(config, [name], ids, seed=seed, epoch=1, view=view)[name] for view in (0, 1))
    targets = target(name, a[:, 1:], b[:, 1:])
    return [
        _pair(name, config, torch.stack((a[row], b[row])), targets[row], row % hands)
        for row in range(PAIRS)
    ]


def _pair(
    name: str, config: AugmentConfig, theta: torch.Tensor, target: torch.Tensor, hand: int
) -> Strip:
    parameters = parameter_names(name, config)
    captions = [
        f"{view}: {', '.join(map(value_text, parameters, values))}"
        for view, values in zip("ab", theta[:, 1:].tolist(), strict=True)
    ]
    heading = f"{name}, target (b - a) / range: {', '.join(f'{t:+.2f}' for t in target.tolist())}"
    rows = torch.full((2,), hand)
    return Strip(heading, captions, rows, rows, {name: theta})


def _title(name: str, config: AugmentConfig) -> str:
    return f"{name}, probability {getattr(config, name).probability:g}"
