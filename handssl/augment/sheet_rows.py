"""What the rows of the picture of the transformations show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from handssl.augment.config import REGRESSABLE, AugmentConfig
from handssl.augment.draws import Theta, draw_theta, intervals_of
from handssl.augment.sheet_words import parameter_names, parameter_words, value_text

STEPS, PAIRS = 5, 3
"""Views of a parameter from low to high, after one without it; pairs of views in a row."""


@dataclass(frozen=True)
class Strip:
    """Views beside each other under one heading.

    Attributes:
        heading: One line.
        captions: One for each view.
        rows: int64 (B,), which hand each view shows.
        ids: int64 (B,), sample ids, the address of noise.
        theta: As from `draw_theta`, for B views.
    """

    heading: str
    captions: list[str]
    rows: torch.Tensor
    ids: torch.Tensor
    theta: Theta


def range_strips(name: str, config: AugmentConfig, hands: int, *, seed: int = 0) -> list[Strip]:
    """Return a strip for each parameter that steps through its range; at least one.

    Of a regressable transformation every parameter steps while the others stay at the identity.
    Of others the first one steps and the others are drawn; without any, five hands are shown.

    Args:
        name: One of `TRANSFORMATIONS`.
        config: Ranges and probabilities.
        hands: How many there are to choose from.
        seed: Of what is drawn.
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
    """Return pairs of views of one hand each, with their thetas and their relative target.

    Args:
        name: One of `REGRESSABLE`.
        config: Ranges and probabilities.
        hands: How many there are to choose from.
        target: The relative target of (transformation, theta_a, theta_b).
        seed: Of what is drawn.
    """
    ids = torch.arange(PAIRS)
    a, b = (draw_theta(config, [name], ids, seed=seed, epoch=1, view=view)[name] for view in (0, 1))
    told = target(name, a[:, 1:], b[:, 1:])
    return [
        _pair(name, config, torch.stack((a[row], b[row])), told[row], row % hands)
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
