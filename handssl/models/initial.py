"""Initialise weights as a pure function of (seed, parameter name)."""

from __future__ import annotations

import math

import torch
from torch import nn

from handssl.randomness import torch_generator

_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm


def initialise(model: nn.Module, *, seed: int, prefix: str = "") -> None:
    """Set every weight of a model in place.

    Convolutions are normal with standard deviation sqrt(2 / fan out), linear layers uniform within
    1 / sqrt(fan in), normalisations are 1 and 0, other parameters (log sigma) 0. A tensor's values
    depend only on the seed and its name: arms that share a module share its initial weights.

    Args:
        model: The module.
        seed: The block's seed.
        prefix: Path of the module in the trial's model, e.g. `encoder`; names start with it.

    Reference:
        K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.
    """
    for path, module in model.named_modules(prefix=prefix):
        for name, parameter in module.named_parameters(recurse=False):
            _set(parameter, module, f"{path}.{name}".lstrip("."), seed)


@torch.no_grad()
def _set(parameter: nn.Parameter, module: nn.Module, name: str, seed: int) -> None:
    generator = torch_generator("weights", seed, name)
    if isinstance(module, nn.Conv2d):
        area = module.kernel_size[0] * module.kernel_size[1]
        deviation = math.sqrt(2.0 / (module.out_channels * area))
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
    elif isinstance(module, nn.Linear):
        bound = 1.0 / math.sqrt(module.in_features)
        parameter.copy_((2.0 * torch.rand(parameter.shape, generator=generator) - 1.0) * bound)
    elif isinstance(module, _NORMS):
        parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    else:
        parameter.zero_()
