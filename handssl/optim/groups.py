"""Parameter groups by weight decay and adaptation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from torch import nn

Masks = Literal["module", "published"]


def decay_groups(
    modules: Iterable[nn.Module], weight_decay: float, *, masks: Masks = "module"
) -> list[dict[str, Any]]:
    """Divide parameters into those with and those without weight decay.

    Args:
        modules: Encoder, heads, weighting.
        weight_decay: Weight decay of the first group.
        masks: `module`: weights of convolutions and linear layers are decayed and adapted; biases,
            normalisations and log sigma are neither. `published`: all are adapted, and all whose
            name contains neither "bias" nor "bn" are decayed; as in the published code this
            includes normalisations inside a Sequential, `downsample.1` and log sigma.

    Returns:
        Two parameter groups with `weight_decay` and `adapt`: the decayed ones, then the others.

    Example:
        >>> groups = decay_groups([nn.Linear(2, 3)], 0.1)
        >>> [(g["weight_decay"], g["adapt"], len(g["params"])) for g in groups]
        [(0.1, True, 1), (0.0, False, 1)]
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    chosen = _by_module if masks == "module" else _by_name
    for parameter, decays in chosen(modules):
        (decayed if decays else others).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay, "adapt": True},
        {"params": others, "weight_decay": 0.0, "adapt": masks == "published"},
    ]


def _by_module(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Parameter, bool]]:
    for root in modules:
        for module in root.modules():
            for name, parameter in module.named_parameters(recurse=False):
                yield parameter, isinstance(module, nn.Conv2d | nn.Linear) and name == "weight"


def _by_name(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Parameter, bool]]:
    for root in modules:
        for name, parameter in root.named_parameters():
            yield parameter, "bias" not in name and "bn" not in name
