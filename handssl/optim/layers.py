"""Layer-wise learning rates: the rate falls geometrically from the heads to the first layer."""

from __future__ import annotations

from typing import Any

from torch import nn

Group = dict[str, Any]
_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm


def layer_rates(
    groups: list[Group], encoder: nn.Module, *, lr: float, layer_decay: float
) -> list[Group]:
    """Divide parameter groups by layer and give each its rate, lr x layer_decay^depth.

    Heads have depth 0, the last layer of the encoder 1, the layer before it 2, and so on.

    Args:
        groups: Parameter groups from `decay_groups`.
        encoder: Encoder, whose parameters are in the groups.
        lr: Rate of the heads at the peak of the schedule.
        layer_decay: Factor between neighbouring layers, in [0, 1].

    Returns:
        The groups as they are if the factor is 1, else one for each depth and decay, heads first;
        parameters with rate 0 are in none.

    Example:
        >>> encoder, head = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 3)), nn.Linear(3, 1)
        >>> every = [{"params": [*encoder.parameters(), *head.parameters()]}]
        >>> found = layer_rates(every, encoder, lr=0.1, layer_decay=0.5)
        >>> [(group["lr"], len(group["params"])) for group in found]
        [(0.1, 2), (0.05, 2), (0.025, 2)]

    Reference:
        J. Howard, S. Ruder, "Universal language model fine-tuning for text classification",
        ACL 2018, Sec. 3.2.
    """
    if layer_decay == 1:
        return groups
    depths = {
        parameter: depth
        for depth, layer in enumerate(reversed(layers_of(encoder)), start=1)
        for parameter in layer
    }
    rates = [lr * layer_decay**depth for depth in range(1 + max(depths.values(), default=0))]
    return [
        {**group, "params": chosen, "lr": rate}
        for depth, rate in enumerate(rates)
        for group in groups
        if rate and (chosen := [p for p in group["params"] if depths.get(p, 0) == depth])
    ]


def layers_of(encoder: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of each layer of an encoder, from the first layer to the last.

    Layers are the children of the module in the order of their definition. A normalisation belongs
    to the child before it, parameters of the module itself to the first layer. A module with one
    child and nothing else, such as a wrapper, is divided as that child.

    Example:
        >>> from handssl.models import ResNet18
        >>> [len(layer) for layer in layers_of(ResNet18(width=8))]
        [3, 12, 15, 15, 15]
    """
    own = list(encoder.parameters(recurse=False))
    children = [child for child in encoder.children() if any(True for _ in child.parameters())]
    if len(children) == 1 and not own:
        return layers_of(children[0])
    layers: list[list[nn.Parameter]] = [own] if own else []
    for number, child in enumerate(children):
        if layers and (isinstance(child, _NORMS) or (own and number == 0)):
            layers[-1].extend(child.parameters())
        else:
            layers.append(list(child.parameters()))
    return layers
