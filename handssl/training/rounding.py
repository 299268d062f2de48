"""Perturbations of rounding, from which the noise floor of a configuration is measured.

Each repeat of a trial has the same seed, data and equations, and other rounding: another number of
threads divides sums differently, a reversed order of the views sums BatchNorm statistics and
gradients of a batch in another order, and initial weights differ by about one unit in their last
place. Training amplifies such differences until results differ as much as they ever will, so the
spread does not depend on which of them came first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from handssl.randomness import torch_generator

RELATIVE = 1e-7  # float32 has 24 bits: 6e-8 is half a unit in the last place


@dataclass(frozen=True)
class Rounding:
    """How a repeat rounds.

    Attributes:
        threads: CPU threads of torch.
        reversed_views: Whether the views of a batch are encoded in reversed order.
    """

    threads: int
    reversed_views: bool


def rounding_of(repeat: int) -> Rounding:
    """Return the perturbation of a repeat, from 1; four in a row have all combinations.

    Example:
        >>> rounding_of(1), rounding_of(2)
        (Rounding(threads=2, reversed_views=False), Rounding(threads=1, reversed_views=True))
    """
    return Rounding(1 + repeat % 2, bool(repeat // 2 % 2))


@torch.no_grad()
def perturb(model: nn.Module, *, seed: int, repeat: int) -> None:
    """Multiply every weight by 1 + 1e-7 x, x standard normal, in place.

    Args:
        model: Module with its initial weights.
        seed: The block's seed.
        repeat: Number of the repeat.
    """
    for name, weight in model.named_parameters():
        generator = torch_generator("rounding", seed, repeat, name)
        x = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        weight.copy_(weight.double() * (1.0 + RELATIVE * x))
