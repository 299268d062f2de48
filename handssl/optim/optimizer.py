"""Optimizers by name, learning rates by rule, schedules as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from handssl.config import Config, nearest
from handssl.errors import InputError

OptimizerName = Literal["adam"]


class OptimizerConfig(Config):
    """How weights are updated.

    Attributes:
        name: What computes the update.
        lr_base: Learning rate for a batch of one; the rate used is lr_base x sqrt(global batch).
        weight_decay: Coupled decay (added to the gradient) of weights; biases, normalisations and
            log sigma are not decayed.
        warmup_epochs: Epochs of linear warm-up before the cosine.
    """

    name: OptimizerName = "adam"
    lr_base: Annotated[float, Field(gt=0, le=1)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-6
    warmup_epochs: Annotated[float, Field(ge=0)] = 10.0


def peak_lr(lr_base: float, global_batch: int) -> float:
    """Return the learning rate after warm-up: lr_base x sqrt(global batch), Sec. 4.1.

    Example:
        >>> peak_lr(1e-4, 256)
        0.0016
    """
    return lr_base * math.sqrt(global_batch)


def cosine_factor(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """Return the share of the peak rate at a step: linear warm-up, then a half cosine to 0.

    Args:
        step: Updates already made, from 0.
        warmup_steps: Updates until the peak.
        total_steps: Updates of the whole run.

    Returns:
        In [0, 1]; the first update of a warm-up already moves, the last is above 0.

    Example:
        >>> [cosine_factor(s, warmup_steps=2, total_steps=4) for s in range(4)]
        [0.5, 1.0, 1.0, 0.5]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def decay_groups(modules: Iterable[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Divide parameters into decayed weights and the rest, by the kind of their module.

    Args:
        modules: Encoder, heads, weighting.
        weight_decay: Applied to the weights of convolutions and linear layers alone.

    Returns:
        Two parameter groups for a torch optimizer.
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for root in modules:
        for module in root.modules():
            for name, parameter in module.named_parameters(recurse=False):
                weighty = isinstance(module, nn.Conv2d | nn.Linear) and name == "weight"
                (decayed if weighty else others).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def build(name: str, parameters: list[dict[str, Any]], *, lr: float) -> torch.optim.Optimizer:
    """Return the optimizer of a name.

    Args:
        name: `adam`; `adam_larc`, `lars` and `lamb` are named in the design and not built yet.
        parameters: Groups, from `decay_groups`.
        lr: Learning rate at the peak of the schedule.

    Raises:
        InputError: No such optimizer.
    """
    if name not in _OPTIMIZERS:
        raise InputError(f"unknown optimizer {name!r}{nearest(name, _OPTIMIZERS)}")
    return _OPTIMIZERS[name](parameters, lr=lr, foreach=True)


_OPTIMIZERS = {"adam": torch.optim.Adam}
